"""Heads fitted anew to the vectors of the finished encoder: convex problems, solved to their end."""

import torch
from torch import Tensor
from torch.nn import functional as F

from bloom_training.lessons import GENERAL, HEADS, Lessons
from bloom_training.model import BloomModel
from bloom_training.solve import minimise

HEAD_RIDGE = 30.0


def polish(model: BloomModel, pooled: Tensor, lessons: Lessons) -> None:
    """Refits the heads in place.

    Args:
        model: whose heads start the fit and are what its ridge pulls to.
        pooled: the encoder's vectors of the training rows, shape [rows, HIDDEN].
        lessons: what the heads are taught about those rows.
    """
    share = _equal_shares(lessons)
    for head in range(len(HEADS)):
        taught = lessons.weights[:, head] > 0
        weights = lessons.weights[:, head] * (share if head == GENERAL else 1.0)
        _fit_head(model, head, pooled[taught], lessons.targets[taught, head], weights[taught])


def _equal_shares(lessons: Lessons) -> Tensor:
    """Weights for the general head that let each source's rows count by the square root of their number; mean 1."""
    taught = lessons.weights[:, GENERAL] > 0
    counts = torch.bincount(lessons.heads[taught], minlength=len(HEADS)).clamp(min=1).float()
    shares = counts.rsqrt()[lessons.heads]
    return shares / shares[taught].mean()


def _fit_head(model: BloomModel, head: int, pooled: Tensor, targets: Tensor, weights: Tensor) -> None:
    start = model.heads.weight[head].detach().clone()
    weight = start.clone().requires_grad_()
    bias = model.heads.bias[head].detach().clone().requires_grad_()

    def loss() -> Tensor:
        entropy = F.binary_cross_entropy_with_logits(pooled @ weight.T + bias, targets, reduction="none")
        return (weights * entropy.sum(1)).sum() + HEAD_RIDGE * (weight - start).square().sum()

    minimise([weight, bias], loss)
    with torch.no_grad():
        model.heads.weight[head] = weight
        model.heads.bias[head] = bias
