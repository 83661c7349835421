"""From rows to vectors and logits, and from those to levels."""

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from bloom_training.data import LEVELS, Row, batches_by_length, pad, tokenise
from bloom_training.lessons import HEADS
from bloom_training.model import BloomModel, rough_products
from bloom_training.student import Student

THRESHOLD = 0.5
_BATCH = 64
_ROUGH_BATCH = 256


@torch.no_grad()
def pooled_vectors(model: BloomModel, tokenizer: Tokenizer, rows: list[Row], rough: bool = False) -> Tensor:
    """Mean-pooled vectors, shape [rows, hidden], not normalised; ``rough``: by rough products, for texts to learn from."""
    texts = tokenise(tokenizer, rows)
    pooled = torch.empty(len(rows), model.hidden)
    model.eval()
    for batch in batches_by_length(texts, _ROUGH_BATCH if rough else _BATCH):
        with rough_products(rough):
            pooled[batch] = model.pooled(*pad([texts[index] for index in batch])).float()
    return pooled


@torch.no_grad()
def student_logits(student: Student, tokenizer: Tokenizer, rows: list[Row]) -> tuple[Tensor, Tensor]:
    """The student's logits of the levels [rows, 6] and of the conventions [rows, heads]."""
    texts = tokenise(tokenizer, rows)
    levels, route = torch.empty(len(rows), len(LEVELS)), torch.empty(len(rows), len(HEADS))
    student.eval()
    for batch in batches_by_length(texts):
        levels[batch], route[batch] = student(*pad([texts[index] for index in batch]))
    return levels, route


@torch.no_grad()
def head_logits(model: BloomModel, tokenizer: Tokenizer, rows: list[Row], rough: bool = False) -> Tensor:
    """The encoder's logits by each head, shape [rows, heads, 6]; ``rough`` as for the vectors."""
    return model.heads(pooled_vectors(model, tokenizer, rows, rough))


def by_head(model: BloomModel, tokenizer: Tokenizer, rows: list[Row], rough: bool = False) -> Tensor:
    """The probabilities that ``head_logits`` are of."""
    return torch.sigmoid(head_logits(model, tokenizer, rows, rough))


def decide(probability: np.ndarray) -> np.ndarray:
    """Multi-hot labels: every level at or over the threshold, or the top one if there is none."""
    chosen = probability >= THRESHOLD
    chosen[np.arange(len(chosen)), probability.argmax(1)] |= ~chosen.any(1)
    return chosen
