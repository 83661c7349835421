"""Do vectors serve search? Near-duplicates found, and agreement with the base encoder."""

from collections import Counter

import numpy as np
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional as F

from bloom_training.data import Row

PAIRS = 20_000


def clustered(rows: list[Row]) -> list[Row]:
    """Rows that share their cluster with another row."""
    counts = Counter(row.cluster for row in rows)
    return [row for row in rows if counts[row.cluster] > 1]


def near_duplicates_found(pooled: Tensor, rows: list[Row]) -> tuple[float, int]:
    """Share of rows in a cluster of several whose nearest other row is of the same cluster, and their number."""
    vectors = F.normalize(pooled, dim=1)
    clusters = np.array([row.cluster for row in rows])
    counts = Counter(clusters.tolist())
    queries = np.array([index for index, cluster in enumerate(clusters) if counts[cluster] > 1])
    similarity = vectors[queries] @ vectors.T
    similarity[np.arange(len(queries)), queries] = -1.0
    nearest = similarity.argmax(1).numpy()
    return float((clusters[nearest] == clusters[queries]).mean()), len(queries)


def agreement(pooled: Tensor, base_pooled: Tensor, seed: int) -> float:
    """Spearman correlation of the cosine similarities of random pairs in both spaces."""
    chance = np.random.default_rng(seed)
    left, right = chance.integers(0, len(pooled), (2, PAIRS))
    cosines = [F.cosine_similarity(vectors[left], vectors[right]).numpy() for vectors in (pooled, base_pooled)]
    return float(spearmanr(*cosines).statistic)
