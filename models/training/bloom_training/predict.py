"""From rows to vectors and logits, and from those to levels."""

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from bloom_training.data import LEVELS, Row, batches_by_length, pad, tokenise
from bloom_training.model import HIDDEN, BloomModel
from bloom_training.student import Student

THRESHOLD = 0.5


@torch.no_grad()
def pooled_vectors(model: BloomModel, tokenizer: Tokenizer, rows: list[Row]) -> Tensor:
    """Mean-pooled vectors, shape [rows, HIDDEN], not normalised."""
    texts = tokenise(tokenizer, rows)
    pooled = torch.empty(len(rows), HIDDEN)
    model.eval()
    for batch in batches_by_length(texts):
        pooled[batch] = model.pooled(*pad([texts[index] for index in batch]))
    return pooled


@torch.no_grad()
def student_logits(student: Student, tokenizer: Tokenizer, rows: list[Row]) -> Tensor:
    """The student's logits, shape [rows, 6]."""
    texts = tokenise(tokenizer, rows)
    logits = torch.empty(len(rows), len(LEVELS))
    student.eval()
    for batch in batches_by_length(texts):
        logits[batch] = student(*pad([texts[index] for index in batch]))
    return logits


@torch.no_grad()
def opinion(model: BloomModel, pooled: Tensor) -> Tensor:
    """The mixture of the heads on pooled vectors, shape [rows, 6]."""
    return mixture(model.heads(pooled), model.gate(pooled))


def mixture(head_logits: Tensor, gate_logits: Tensor) -> Tensor:
    """Gate-weighted mean of the heads' probabilities, shape [rows, 6]."""
    return (torch.softmax(gate_logits, 1)[..., None] * torch.sigmoid(head_logits)).sum(1)


def decide(probability: np.ndarray) -> np.ndarray:
    """Multi-hot labels: every level at or over the threshold, or the top one if there is none."""
    chosen = probability >= THRESHOLD
    chosen[np.arange(len(chosen)), probability.argmax(1)] |= ~chosen.any(1)
    return chosen
