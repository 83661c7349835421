"""What the phrases of a text say of its levels.

A phrase is a run of up to three word pieces. Those of exam questions are the features of a logistic regression, each
1 / √(their number) (after Wang and Manning, "Baselines and bigrams", 2012).
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer
from torch import Tensor

from bloom_training.data import LEVELS, SOURCES, Row, tokenise
from bloom_training.lessons import HEADS

CONVENTIONS = ("exam", "exam_noisy")
"""The heads whose texts' phrases are learned; learning objectives and generated questions gain nothing by theirs."""
OUTPUTS = len(CONVENTIONS) * len(LEVELS)
LONGEST = 3
LEAST = 2
"""Texts that a phrase must be in to be known."""
WEIGHT = 0.6
"""Of what the phrases say, beside what the student says."""
_INVERSE_PENALTY = 12.0
_BASIS, _PRIME = np.uint32(0x811C9DC5), np.uint32(0x01000193)


@dataclass(frozen=True)
class Phrases:
    """Known phrases and their weights.

    Attributes:
        keys: of the phrases, ascending, uint32, shape [phrases].
        weight: float32, shape [conventions · 6, phrases], convention after convention.
        bias: float32, shape [conventions · 6].
    """

    keys: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def logits(self, tokenizer: Tokenizer, rows: list[Row]) -> Tensor:
        """What the phrases of each row say by each head, shape [rows, heads, 6]; 0 by heads that have none."""
        found = features(tokenise(tokenizer, rows), self.keys) @ self.weight.T + self.bias
        said = torch.zeros(len(rows), len(HEADS), len(LEVELS))
        said[:, [HEADS.index(name) for name in CONVENTIONS]] = torch.tensor(
            found.reshape(len(rows), len(CONVENTIONS), len(LEVELS)), dtype=torch.float32
        )
        return said


def train(tokenizer: Tokenizer, rows: list[Row]) -> Phrases:
    """Learns from those of ``rows`` that follow the conventions; a level that all or none of a convention's have gets no weights."""
    rows = [row for row in rows if SOURCES[row.source].head in CONVENTIONS]
    texts = tokenise(tokenizer, rows)
    known = _common(texts)
    weight = np.zeros((len(CONVENTIONS), len(LEVELS), len(known)), dtype=np.float32)
    bias = np.zeros((len(CONVENTIONS), len(LEVELS)), dtype=np.float32)
    if not len(known):
        return Phrases(known, weight.reshape(OUTPUTS, 0), bias.reshape(-1))
    found, heads = features(texts, known), np.array([SOURCES[row.source].head for row in rows])
    targets, trust = np.stack([row.target for row in rows]), np.array([SOURCES[row.source].weight for row in rows])
    for number, convention in enumerate(CONVENTIONS):
        mine = heads == convention
        for level in range(len(LEVELS)):
            if len(set(targets[mine, level])) == 2:
                model = LogisticRegression(C=_INVERSE_PENALTY, solver="liblinear")
                model.fit(found[mine], targets[mine, level], sample_weight=trust[mine])
                weight[number, level], bias[number, level] = model.coef_[0], model.intercept_[0]
    return Phrases(known, WEIGHT * weight.reshape(OUTPUTS, len(known)), WEIGHT * bias.reshape(-1))


def _common(texts: list[list[int]]) -> np.ndarray:
    """Keys of the phrases that at least ``LEAST`` texts have, ascending."""
    if not texts:
        return np.zeros(0, np.uint32)
    every, counts = np.unique(np.concatenate([keys(text) for text in texts]), return_counts=True)
    return every[counts >= LEAST]


def keys(text: list[int]) -> np.ndarray:
    """The different keys of a text's phrases, ascending: FNV-1a (Fowler, Noll, Vo) over the token ids, 32 bits each."""
    ids = np.array(text, dtype=np.uint32)
    run, found = np.full(len(ids), _BASIS), []
    for length in range(1, LONGEST + 1):
        run = (run[: max(0, len(ids) - length + 1)] ^ ids[length - 1 :]) * _PRIME
        found.append(run)
    return np.unique(np.concatenate(found))


def features(texts: list[list[int]], known: np.ndarray) -> csr_matrix:
    """The known phrases of each text, each 1 / √(their number), shape [texts, known]."""
    columns, starts, values = [], [0], []
    for text in texts:
        _, at, _ = np.intersect1d(known, keys(text), assume_unique=True, return_indices=True)
        columns.append(at)
        starts.append(starts[-1] + len(at))
        values.append(np.full(len(at), 1 / np.sqrt(max(len(at), 1))))
    return csr_matrix((np.concatenate(values), np.concatenate(columns), starts), shape=(len(texts), len(known)))
