"""Calibration on rows the weights have not learned from."""

import torch
from torch import Tensor
from torch.nn import functional as F

from bloom_training.data import LEVELS, SOURCES, Row
from bloom_training.fit import GENERAL, HEADS
from bloom_training.model import BloomModel
from bloom_training.predict import MixtureCalibration, mixture
from bloom_training.solve import minimise

RIDGE = 5.0
"""Strength of the pull to "no change", in rows: small sources move their head little."""


def calibrate(model: BloomModel, pooled: Tensor, rows: list[Row]) -> MixtureCalibration:
    """Rescales heads and gate in place, then fits the last step on the mixture.

    Each head gets one scale and a bias by level (Platt scaling, 1999), the gate one temperature, the mixture a scale
    and a bias by level.

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
        mixed = mixture(model.heads(pooled), model.gate(pooled))
    scale, bias = _platt(torch.logit(mixed, eps=1e-6), targets, by_level=True)
    return MixtureCalibration(scale, bias)


def _platt(logits: Tensor, targets: Tensor, by_level: bool) -> tuple[Tensor, Tensor]:
    """Scale (one, or one a level) and bias by level that minimise cross-entropy under a ridge."""
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
