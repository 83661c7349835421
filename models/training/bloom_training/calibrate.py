"""Calibration on rows the weights have not learned from: convex problems, pulled to "no change" by a ridge."""

from collections import Counter

import torch
from torch import Tensor
from torch.nn import functional as F

from bloom_training.cascade import BothCalibration, StudentCalibration, logit, mixture
from bloom_training.data import LEVELS, SOURCES, Row
from bloom_training.lessons import GENERAL, HEADS
from bloom_training.model import BloomModel
from bloom_training.solve import minimise
from bloom_training.student import Student

RIDGE = 5.0
"""Strength of the pull to "no change", in rows: small sources move their head little."""


def calibrate_heads(model: BloomModel, pooled: Tensor, rows: list[Row]) -> None:
    """Gives each head one scale and a bias by level, in place.

    Args:
        model: whose heads are adjusted.
        pooled: vectors of ``rows``, shape [rows, HIDDEN].
        rows: not seen in training.
    """
    targets = torch.tensor([row.target.tolist() for row in rows])
    own = torch.tensor([HEADS.index(SOURCES[row.source].head) for row in rows])
    with torch.no_grad():
        head_logits = model.heads(pooled)
        for head in range(len(HEADS)):
            mine = torch.ones_like(own, dtype=torch.bool) if head == GENERAL else own == head
            scale, bias = _platt(head_logits[mine, head], targets[mine], by_level=False)
            model.heads.weight[head] *= scale
            model.heads.bias[head] = model.heads.bias[head] * scale + bias


def calibrate_route(student: Student, route: Tensor, heads: Tensor, rows: list[Row]) -> None:
    """Sharpens the student's route and shifts it by head, in place, so that the heads' mixture is likeliest.

    Every source counts the same in this, however many rows it has.

    Args:
        student: whose route is adjusted.
        route: its route logits on ``rows``, shape [rows, heads].
        heads: the encoder's probabilities by each head, shape [rows, heads, 6].
        rows: not seen in training.
    """
    targets = torch.tensor([row.target.tolist() for row in rows])
    counts = Counter(row.source for row in rows)
    weights = torch.tensor([len(rows) / len(counts) / counts[row.source] for row in rows])
    sharpness, shift = torch.ones((), requires_grad=True), torch.zeros(len(HEADS), requires_grad=True)

    def loss() -> Tensor:
        mixed = mixture(heads, sharpness * route + shift).clamp(1e-6, 1 - 1e-6)
        entropy = F.binary_cross_entropy(mixed, targets, reduction="none").sum(1)
        return (weights * entropy).sum() + RIDGE * ((sharpness - 1).square() + shift.square().sum())

    minimise([sharpness, shift], loss)
    with torch.no_grad():
        student.route.weight *= sharpness
        student.route.bias.copy_(student.route.bias * sharpness + shift)


def calibrate_student(student: Tensor, targets: Tensor) -> StudentCalibration:
    """Scale and bias by level of the student's logits [rows, 6] against multi-hot ``targets`` [rows, 6]."""
    return StudentCalibration(*_platt(student, targets, by_level=True))


def calibrate_both(mixture: Tensor, student: Tensor, targets: Tensor) -> BothCalibration:
    """Logistic regression by level on the encoder's probabilities and the student's logits, each [rows, 6]."""
    opinion = logit(mixture)
    encoder = torch.ones(len(LEVELS), requires_grad=True)
    share, bias = torch.zeros(len(LEVELS), requires_grad=True), torch.zeros(len(LEVELS), requires_grad=True)

    def loss() -> Tensor:
        entropy = F.binary_cross_entropy_with_logits(encoder * opinion + share * student + bias, targets, reduction="sum")
        return entropy + RIDGE * ((encoder - 1).square().sum() + share.square().sum() + bias.square().sum())

    minimise([encoder, share, bias], loss)
    return BothCalibration(encoder.detach(), share.detach(), bias.detach())


def _platt(logits: Tensor, targets: Tensor, by_level: bool) -> tuple[Tensor, Tensor]:
    """Scale (one, or one a level) and bias by level that minimise cross-entropy (Platt scaling, 1999)."""
    scale = torch.ones(len(LEVELS) if by_level else 1, requires_grad=True)
    bias = torch.zeros(len(LEVELS), requires_grad=True)

    def loss() -> Tensor:
        entropy = F.binary_cross_entropy_with_logits(scale * logits + bias, targets, reduction="sum")
        return entropy + RIDGE * ((scale - 1).square().sum() + bias.square().sum())

    minimise([scale, bias], loss)
    return scale.detach(), bias.detach()
