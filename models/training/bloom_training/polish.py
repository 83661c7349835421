"""The exam head fitted anew to the vectors of the finished encoder: a convex problem, solved to its end."""

import torch
from torch import Tensor
from torch.nn import functional as F

from bloom_training.lessons import EXAM, Lessons
from bloom_training.model import BloomModel
from bloom_training.solve import minimise

RIDGE = 1.0
"""Strength of the pull to the head as trained."""


def refit_exam_head(model: BloomModel, pooled: Tensor, lessons: Lessons) -> None:
    """Refits the head in place; it has more to learn from than the others, the mixed texts, once the encoder is finished.

    Args:
        model: whose exam head starts the fit.
        pooled: the encoder's vectors of the texts, shape [texts, hidden].
        lessons: what the head is taught about them.
    """
    taught = lessons.weights[:, EXAM] > 0
    vectors, targets, weights = pooled[taught], lessons.targets[taught, EXAM], lessons.weights[taught, EXAM]
    start = model.heads.weight[EXAM].detach().clone()
    weight = start.clone().requires_grad_()
    bias = model.heads.bias[EXAM].detach().clone().requires_grad_()

    def loss() -> Tensor:
        entropy = F.binary_cross_entropy_with_logits(vectors @ weight.T + bias, targets, reduction="none").sum(1)
        return (weights * entropy).sum() + RIDGE * (weight - start).square().sum()

    minimise([weight, bias], loss)
    with torch.no_grad():
        model.heads.weight[EXAM] = weight
        model.heads.bias[EXAM] = bias
