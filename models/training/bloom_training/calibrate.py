"""Calibration on rows the weights have not learned from: convex problems, pulled to "no change" by a ridge."""

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bloom_training.cascade import BothCalibration, Cascade, StudentCalibration, certainty, logit, mixture
from bloom_training.data import LEVELS, SOURCES, Row
from bloom_training.lessons import GENERAL, HEADS
from bloom_training.model import BloomModel
from bloom_training.solve import minimise
from bloom_training.student import Student

RIDGE = 5.0
"""Strength of the pull to "no change", in rows: small sources move their head little."""
STUDENT_SHARE = 0.375
"""Of the student in the mean opinion where both are heard."""
ROUTE_BALANCE = 0.5
BOTH_BALANCE = 0.75
"""The source of n rows counts n to the power of 1 less this in what is fitted to all; 1 would make all equal."""


@dataclass(frozen=True)
class Opinions:
    """What uncalibrated networks say of some rows.

    Attributes:
        heads: the encoder's logits by head, shape [rows, heads, 6].
        student: the student's logits, shape [rows, 6].
        route: the student's logits of the heads to hear, shape [rows, heads].
        phrases: what the texts' phrases say by head, shape [rows, heads, 6].
    """

    heads: Tensor
    student: Tensor
    route: Tensor
    phrases: Tensor

    def first(self, count: int) -> "Opinions":
        """Those on the first ``count`` rows."""
        return Opinions(*(part[:count] for part in (self.heads, self.student, self.route, self.phrases)))


@dataclass(frozen=True)
class Calibration:
    """What is fitted to opinions on rows not learned from; it holds for any networks of the same recipe.

    Attributes:
        scale: one factor a head, shape [heads].
        bias: by head and level, shape [heads, 6].
        sharpness: factor of the route, a scalar.
        shift: of the route, by head, shape [heads].
        cascade: how both paths' opinions become probabilities, and when the student stops.
    """

    scale: Tensor
    bias: Tensor
    sharpness: Tensor
    shift: Tensor
    cascade: Cascade

    @torch.no_grad()
    def apply(self, student: Student, encoder: BloomModel) -> None:
        """Folds what concerns heads and route into their tensors, in place."""
        encoder.heads.weight *= self.scale[:, None, None]
        encoder.heads.bias.copy_(encoder.heads.bias * self.scale[:, None] + self.bias)
        student.route.weight *= self.sharpness
        student.route.bias.copy_(student.route.bias * self.sharpness + self.shift)


def calibrate(opinions: Opinions, rows: list[Row], stop_share: float) -> Calibration:
    """Fits heads, route and both paths in this order; the student stops at the ``stop_share`` of the rows it is surest of."""
    targets = torch.tensor([row.target.tolist() for row in rows])
    scale, bias = calibrate_heads(opinions.heads, rows)
    heads = torch.sigmoid(opinions.heads * scale[:, None] + bias)
    sharpness, shift = calibrate_route(opinions.route, heads, rows)
    route = opinions.route * sharpness + shift
    student = opinions.student + mixture(opinions.phrases, route)
    alone = calibrate_student(student, targets)
    stop = float(certainty(alone(student)).quantile(1 - stop_share))
    cascade = Cascade(alone, calibrate_both(mixture(heads, route), student, rows), round(stop, 4))
    return Calibration(scale, bias, sharpness, shift, cascade)


def calibrate_heads(heads: Tensor, rows: list[Row]) -> tuple[Tensor, Tensor]:
    """One scale for each head [heads] and a bias by head and level [heads, 6], from its logits on the rows of its source."""
    targets = torch.tensor([row.target.tolist() for row in rows])
    own = torch.tensor([HEADS.index(SOURCES[row.source].head) for row in rows])
    scales, biases = torch.ones(len(HEADS)), torch.zeros(len(HEADS), len(LEVELS))
    for head in range(len(HEADS)):
        mine = torch.ones_like(own, dtype=torch.bool) if head == GENERAL else own == head
        scales[head : head + 1], biases[head] = _platt(heads[mine, head], targets[mine], by_level=False)
    return scales, biases


def calibrate_route(route: Tensor, heads: Tensor, rows: list[Row]) -> tuple[Tensor, Tensor]:
    """Sharpness of the student's route (a scalar) and a shift by head [heads] with which the heads' mixture is likeliest.

    Args:
        route: the route's logits on ``rows``, shape [rows, heads].
        heads: the encoder's probabilities by each head, shape [rows, heads, 6].
        rows: not seen in training.
    """
    targets = torch.tensor([row.target.tolist() for row in rows])
    weights = _balanced(rows, ROUTE_BALANCE)
    sharpness, shift = torch.ones((), requires_grad=True), torch.zeros(len(HEADS), requires_grad=True)

    def loss() -> Tensor:
        mixed = mixture(heads, sharpness * route + shift).clamp(1e-6, 1 - 1e-6)
        entropy = F.binary_cross_entropy(mixed, targets, reduction="none").sum(1)
        return (weights * entropy).sum() + RIDGE * ((sharpness - 1).square() + shift.square().sum())

    minimise([sharpness, shift], loss)
    return sharpness.detach(), shift.detach()


def calibrate_student(student: Tensor, targets: Tensor) -> StudentCalibration:
    """Scale and bias by level of the student's logits [rows, 6] against multi-hot ``targets`` [rows, 6]."""
    return StudentCalibration(*_platt(student, targets, by_level=True))


def calibrate_both(mixture: Tensor, student: Tensor, rows: list[Row]) -> BothCalibration:
    """Scale and bias by level of a mean of the encoder's and the student's logits, each [rows, 6]."""
    targets = torch.tensor([row.target.tolist() for row in rows])
    weights = _balanced(rows, BOTH_BALANCE)[:, None]
    opinion = (1 - STUDENT_SHARE) * logit(mixture) + STUDENT_SHARE * student
    scale, bias = torch.ones(len(LEVELS), requires_grad=True), torch.zeros(len(LEVELS), requires_grad=True)

    def loss() -> Tensor:
        entropy = F.binary_cross_entropy_with_logits(scale * opinion + bias, targets, reduction="none")
        return (weights * entropy).sum() + RIDGE * ((scale - 1).square().sum() + bias.square().sum())

    minimise([scale, bias], loss)
    scale = scale.detach()
    return BothCalibration((1 - STUDENT_SHARE) * scale, STUDENT_SHARE * scale, bias.detach())


def _balanced(rows: list[Row], power: float) -> Tensor:
    """Weights of mean 1 over the rows, falling with the number of rows of their source."""
    counts = Counter(row.source for row in rows)
    weights = torch.tensor([counts[row.source] ** -power for row in rows])
    return weights / weights.mean()


def _platt(logits: Tensor, targets: Tensor, by_level: bool) -> tuple[Tensor, Tensor]:
    """Scale (one, or one a level) and bias by level that minimise cross-entropy (Platt scaling, 1999)."""
    scale = torch.ones(len(LEVELS) if by_level else 1, requires_grad=True)
    bias = torch.zeros(len(LEVELS), requires_grad=True)

    def loss() -> Tensor:
        entropy = F.binary_cross_entropy_with_logits(scale * logits + bias, targets, reduction="sum")
        return entropy + RIDGE * ((scale - 1).square().sum() + bias.square().sum())

    minimise([scale, bias], loss)
    return scale.detach(), bias.detach()
