"""Calibration on rows the weights have not learned from: convex problems, pulled to "no change" by a ridge."""

import torch
from torch import Tensor
from torch.nn import functional as F

from bloom_training.cascade import BothCalibration, StudentCalibration, logit
from bloom_training.data import LEVELS, SOURCES, Row
from bloom_training.lessons import GENERAL, HEADS
from bloom_training.model import BloomModel
from bloom_training.solve import minimise

RIDGE = 5.0
"""Strength of the pull to "no change", in rows: small sources move their head little."""


def calibrate_heads(model: BloomModel, pooled: Tensor, rows: list[Row]) -> None:
    """Rescales heads and gate in place: each head gets one scale and a bias by level, the gate one temperature.

    Args:
        model: whose heads and gate are adjusted.
        pooled: vectors of ``rows``, shape [rows, HIDDEN].
        rows: not seen in training.
    """
    targets = torch.tensor([row.target.tolist() for row in rows])
    own = torch.tensor([HEADS.index(SOURCES[row.source].head) for row in rows])
    with torch.no_grad():
        head_logits, gate_logits = model.heads(pooled), model.gate(pooled)
        for head in range(len(HEADS)):
            mine = torch.ones_like(own, dtype=torch.bool) if head == GENERAL else own == head
            scale, bias = _platt(head_logits[mine, head], targets[mine], by_level=False)
            model.heads.weight[head] *= scale
            model.heads.bias[head] = model.heads.bias[head] * scale + bias
        sharpness = _gate_sharpness(gate_logits, own)
        model.gate.weight *= sharpness
        model.gate.bias *= sharpness


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


def _gate_sharpness(gate_logits: Tensor, own: Tensor) -> Tensor:
    """Factor on the gate's logits under which the rows' own heads are likeliest; the general head is left out."""
    sharpness = torch.ones((), requires_grad=True)
    named = gate_logits[:, :GENERAL]
    minimise([sharpness], lambda: F.cross_entropy(sharpness * named, own, reduction="sum"))
    return sharpness.detach()
