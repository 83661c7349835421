"""From rows to pooled vectors, and from pooled vectors to probabilities."""

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from bloom_training.data import LEVELS, Row, batches_by_length, pad, tokenise
from bloom_training.model import HIDDEN, BloomModel

THRESHOLD = 0.5
_EDGE = 1e-6


@dataclass(frozen=True)
class MixtureCalibration:
    """Last step on the mixture: p = σ(scale · logit(m) + bias), by level."""

    scale: Tensor
    bias: Tensor

    @classmethod
    def identity(cls) -> "MixtureCalibration":
        """Leaves the mixture as it is."""
        return cls(torch.ones(len(LEVELS)), torch.zeros(len(LEVELS)))

    def __call__(self, mixture: Tensor) -> Tensor:
        return torch.sigmoid(self.scale * torch.logit(mixture, eps=_EDGE) + self.bias)


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
def probabilities(model: BloomModel, calibration: MixtureCalibration, pooled: Tensor) -> np.ndarray:
    """Calibrated probabilities of the six levels, shape [rows, 6]."""
    return calibration(mixture(model.heads(pooled), model.gate(pooled))).numpy()


def mixture(head_logits: Tensor, gate_logits: Tensor) -> Tensor:
    """Gate-weighted mean of the heads' probabilities, shape [rows, 6]."""
    return (torch.softmax(gate_logits, 1)[..., None] * torch.sigmoid(head_logits)).sum(1)


def decide(probability: np.ndarray) -> np.ndarray:
    """Multi-hot labels: every level at or over the threshold, or the top one if there is none."""
    chosen = probability >= THRESHOLD
    chosen[np.arange(len(chosen)), probability.argmax(1)] |= ~chosen.any(1)
    return chosen
