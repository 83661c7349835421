"""What each head is taught about each row or mixed text: labels, and what teachers and specialists say."""

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
"""Weight of what the exam head is taught about a question of another source; it is taught nothing about learning objectives."""


@dataclass(frozen=True)
class Lessons:
    """What the heads are taught about each row.

    Attributes:
        targets: probability of each level by each head's convention, shape [rows, heads, 6].
        weights: how much each head learns from the row, shape [rows, heads].
        heads: the head of each row's source, shape [rows]; what the student's route is taught.
        repeats: times a row is seen in one epoch, shape [rows].
    """

    targets: Tensor
    weights: Tensor
    heads: Tensor
    repeats: Tensor


def from_labels(rows: list[Row]) -> Lessons:
    """The labels as they are: each row teaches its source's head, and the general head by half."""
    heads = own_heads(rows)
    trust = torch.tensor([SOURCES[row.source].weight for row in rows])
    targets = torch.tensor(np.stack([row.target for row in rows]))
    weights = F.one_hot(heads, len(HEADS)) * trust[:, None]
    weights[:, GENERAL] = GENERAL_WEIGHT * trust
    repeats = torch.tensor([SOURCES[row.source].repeats for row in rows])
    return Lessons(targets[:, None, :].repeat(1, len(HEADS), 1), weights, heads, repeats)


def own_heads(rows: list[Row]) -> Tensor:
    """The head of each row's source, shape [rows]."""
    return torch.tensor([HEADS.index(SOURCES[row.source].head) for row in rows])


def from_opinions(rows: list[Row], said: Tensor) -> Lessons:
    """Labels softened by what is said; the exam head also learns what is said for it of other sources' questions.

    Args:
        rows: the training rows.
        said: probabilities by each head, shape [rows, heads, 6]; the specialists' by the exam head where they are asked.
    """
    plain = from_labels(rows)
    targets = LABEL_SHARE * plain.targets + (1 - LABEL_SHARE) * said
    weights = plain.weights.clone()
    asked = (plain.heads != EXAM) & (plain.heads != OBJECTIVES)
    targets[asked, EXAM] = said[asked, EXAM]
    weights[asked, EXAM] = EXAM_WEIGHT
    return Lessons(targets, weights, plain.heads, plain.repeats)


def from_opinions_alone(mixed: list[Row], said: Tensor) -> Lessons:
    """Lessons on texts without labels: what is ``said`` [texts, heads, 6], for the head of their source and the general head."""
    plain = from_labels(mixed)
    return Lessons(said, plain.weights, plain.heads, torch.ones_like(plain.repeats))


def both(first: Lessons, second: Lessons) -> Lessons:
    """Lessons on the rows of the first and then those of the second."""
    names = ("targets", "weights", "heads", "repeats")
    return Lessons(*(torch.cat([getattr(first, name), getattr(second, name)]) for name in names))
