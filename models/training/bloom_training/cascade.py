"""The two networks as one model: who answers, and how their opinions become probabilities."""

from dataclasses import dataclass

import torch
from torch import Tensor

_EDGE = 1e-6


@dataclass(frozen=True)
class StudentCalibration:
    """q = σ(scale · s + bias), by level, of the student's logits s; each shape [6]."""

    scale: Tensor
    bias: Tensor

    def __call__(self, student: Tensor) -> Tensor:
        return torch.sigmoid(self.scale * student + self.bias)


@dataclass(frozen=True)
class BothCalibration:
    """p = σ(encoder · logit(m) + student · s + bias), by level, of the encoder's mixture m and the student's logits s."""

    encoder: Tensor
    student: Tensor
    bias: Tensor

    def __call__(self, mixture: Tensor, student: Tensor) -> Tensor:
        return torch.sigmoid(self.encoder * logit(mixture) + self.student * student + self.bias)


@dataclass(frozen=True)
class Cascade:
    """Calibration of both paths, and the least certainty with which the student answers alone."""

    alone: StudentCalibration
    both: BothCalibration
    stop: float

    def __call__(self, student: Tensor, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities, shape [rows, 6], and whether the student answered alone, shape [rows].

        Args:
            student: its logits, shape [rows, 6].
            mixture: the encoder's probabilities, shape [rows, 6]; not used where the student answers.
        """
        own = self.alone(student)
        stopped = certainty(own) >= self.stop
        return torch.where(stopped[:, None], own, self.both(mixture, student)), stopped


def certainty(probability: Tensor) -> Tensor:
    """How far the nearest level is from changing sides, 0 (undecided, or no level reaches one half) to 1; shape [rows]."""
    nearest = (2 * probability - 1).abs().amin(1)
    return torch.minimum(nearest, 2 * probability.amax(1) - 1).clamp(min=0)


def logit(probability: Tensor) -> Tensor:
    """ln(x / (1 - x)) with x kept away from 0 and 1."""
    return torch.logit(probability, eps=_EDGE)


def mixture(heads: Tensor, route: Tensor) -> Tensor:
    """Mean of what the heads say [rows, heads, 6], weighted by the softmax of ``route`` [rows, heads]; shape [rows, 6]."""
    return (torch.softmax(route, 1)[..., None] * heads).sum(1)
