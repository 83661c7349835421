"""Training rows, their cluster-safe split, and batches of similar length."""

import hashlib
import json
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

LEVELS = ("remember", "understand", "apply", "analyze", "evaluate", "create")
LICENCE_CLEAR = ("yahya2012", "vmd7_extra", "aeqg2024")


@dataclass(frozen=True)
class Source:
    """How rows of one data set are used.

    Attributes:
        head: name of the head that learns this set's labelling convention.
        repeats: times a row is seen in one epoch, against the imbalance of the sets' sizes.
        weight: weight of a row's loss; below 1 for noisy labels.
    """

    head: str
    repeats: int
    weight: float


SOURCES = {
    "edm2022": Source("objectives", 1, 1.0),
    "yahya2012": Source("exam", 4, 1.0),
    "vmd7_extra": Source("exam_noisy", 1, 0.5),
    "kaggle8k": Source("exam_noisy", 1, 0.8),
    "aeqg2024": Source("generated", 2, 1.0),
}


@dataclass(frozen=True)
class Row:
    """A text with its levels; ``target`` is multi-hot, shape [6]."""

    text: str
    labels: tuple[str, ...]
    source: str
    cluster: int

    @property
    def target(self) -> np.ndarray:
        return np.array([level in self.labels for level in LEVELS], dtype=np.float32)


@dataclass(frozen=True)
class Split:
    """Rows to learn from, to steer and calibrate by, and to report on; near-duplicates never straddle two of these.

    ``unseen`` holds the rows of sources that none of the other parts has.
    """

    train: list[Row]
    dev: list[Row]
    test: list[Row]
    unseen: list[Row] = field(default_factory=list)


def read_rows(folder: Path) -> list[Row]:
    """Reads ``train.jsonl`` of the data folder.

    Raises:
        ValueError: a row names an unknown source or level.
    """
    rows = []
    with (folder / "train.jsonl").open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            entry = json.loads(line)
            row = Row(entry["text"], tuple(entry["labels"]), entry["source"], entry["cluster"])
            if row.source not in SOURCES or not row.labels or not set(row.labels) <= set(LEVELS):
                raise ValueError(f"train.jsonl line {number}: unknown source or level: {row.source}, {row.labels}")
            rows.append(row)
    return rows


def split_rows(rows: list[Row], unseen: Collection[str] = ()) -> Split:
    """85 % train, 5 % dev, 10 % test by a hash of the cluster, so the split does not depend on order or seed.

    Rows of the sources ``unseen`` are kept apart.
    """
    parts = Split([], [], [])
    for row in rows:
        if row.source in unseen:
            parts.unseen.append(row)
            continue
        share = int.from_bytes(hashlib.sha256(f"cluster {row.cluster}".encode()).digest()[:4], "big") / 2**32
        part = parts.train if share < 0.85 else parts.dev if share < 0.9 else parts.test
        part.append(row)
    return parts


def write_rows(path: Path, rows: list[Row]) -> None:
    """Writes rows as JSON lines with text, labels and source."""
    with path.open("w", encoding="utf-8") as out:
        for row in rows:
            entry = {"text": row.text, "labels": row.labels, "source": row.source}
            out.write(json.dumps(entry, ensure_ascii=False) + "\n")


def tokenise(tokenizer: Tokenizer, rows: list[Row]) -> list[list[int]]:
    """Token ids of each row's text."""
    return [encoding.ids for encoding in tokenizer.encode_batch([row.text for row in rows])]


def pad(texts: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Ids and mask (true on tokens), shape [texts, longest]."""
    longest = max(map(len, texts))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    lengths = torch.tensor([len(text) for text in texts])
    return ids, torch.arange(longest)[None, :] < lengths[:, None]


def epoch_batches(repeats: list[int], lengths: list[int], batch: int, seed: int) -> list[list[int]]:
    """Row numbers of one epoch's batches: each as often as it repeats, shuffled, then grouped by length within windows of 50 batches."""
    order = [index for index, times in enumerate(repeats) for _ in range(times)]
    chance = random.Random(seed)
    chance.shuffle(order)
    batches = []
    for start in range(0, len(order), 50 * batch):
        window = sorted(order[start : start + 50 * batch], key=lengths.__getitem__)
        batches += [window[at : at + batch] for at in range(0, len(window), batch)]
    chance.shuffle(batches)
    return batches


def batches_by_length(texts: list[list[int]], batch: int = 64) -> Iterator[list[int]]:
    """Row numbers in batches of similar length, each row once."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]
