"""What each head is taught about each row: labels, opinions of an earlier model, opinions of the specialists."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bloom_training.data import SOURCES, Row

HEADS = ("objectives", "exam", "exam_noisy", "generated", "general")
OBJECTIVES = HEADS.index("objectives")
EXAM = HEADS.index("exam")
GENERAL = HEADS.index("general")
GENERAL_WEIGHT = 0.5
LABEL_SHARE = 0.5
"""Share of a row's own labels in its target; the rest is the teacher's opinion."""
EXAM_WEIGHT = 0.6
"""Weight of the specialists' opinion on a question of another source; they are not asked about learning objectives."""


@dataclass(frozen=True)
class Lessons:
    """What the heads are taught about each row.

    Attributes:
        targets: probability of each level by each head's convention, shape [rows, heads, 6].
        weights: how much each head learns from the row, shape [rows, heads].
        heads: the head of each row's source, shape [rows]; what the student's route is taught.
        repeats: times the encoder sees a row in one epoch, shape [rows].
    """

    targets: Tensor
    weights: Tensor
    heads: Tensor
    repeats: Tensor


def from_labels(rows: list[Row]) -> Lessons:
    """The labels as they are: each row teaches its source's head, and the general head by half."""
    heads = torch.tensor([HEADS.index(SOURCES[row.source].head) for row in rows])
    trust = torch.tensor([SOURCES[row.source].weight for row in rows])
    targets = torch.tensor(np.stack([row.target for row in rows]))
    weights = F.one_hot(heads, len(HEADS)) * trust[:, None]
    weights[:, GENERAL] = GENERAL_WEIGHT * trust
    repeats = torch.tensor([SOURCES[row.source].repeats for row in rows])
    return Lessons(targets[:, None, :].repeat(1, len(HEADS), 1), weights, heads, repeats)


def from_opinions(rows: list[Row], teacher: Tensor, specialists: Tensor) -> Lessons:
    """Labels softened by the teacher's opinion; the exam head also learns what the specialists say of other texts.

    Args:
        rows: the training rows.
        teacher: probabilities by each head of the teacher, shape [rows, heads, 6].
        specialists: mean probabilities of the specialists, shape [rows, 6].
    """
    plain = from_labels(rows)
    targets = LABEL_SHARE * plain.targets + (1 - LABEL_SHARE) * teacher
    weights = plain.weights.clone()
    asked = (plain.heads != EXAM) & (plain.heads != OBJECTIVES)
    targets[asked, EXAM] = specialists[asked]
    weights[asked, EXAM] = EXAM_WEIGHT
    return Lessons(targets, weights, plain.heads, plain.repeats)


def for_exam_head(specialists: Tensor) -> Lessons:
    """Lessons on texts without labels, for the exam head alone: what the specialists say, shape [rows, 6]."""
    count = len(specialists)
    weights = torch.zeros(count, len(HEADS))
    weights[:, EXAM] = EXAM_WEIGHT
    once = torch.ones(count, dtype=torch.long)
    return Lessons(specialists[:, None, :].repeat(1, len(HEADS), 1), weights, torch.full((count,), EXAM), once)


def both(first: Lessons, second: Lessons) -> Lessons:
    """Lessons on the rows of the first and then those of the second."""
    names = ("targets", "weights", "heads", "repeats")
    return Lessons(*(torch.cat([getattr(first, name), getattr(second, name)]) for name in names))
