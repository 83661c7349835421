"""Figures by source: F1 by level, macro F1, accuracy, calibration error, confusion."""

import numpy as np
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, f1_score

from bloom_training.data import LEVELS, Row
from bloom_training.predict import decide

ECE_BINS = 15


def targets(rows: list[Row]) -> np.ndarray:
    """Multi-hot labels, bool, shape [rows, 6]."""
    return np.stack([row.target for row in rows]).astype(bool)


def expected_calibration_error(probability: np.ndarray, target: np.ndarray) -> float:
    """Top-label ECE: gap of confidence and hit rate over ECE_BINS bins of equal width (Naeini et al., 2015)."""
    top = probability.argmax(1)
    confidence = probability.max(1)
    hit = target[np.arange(len(target)), top]
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = [abs((confidence - hit)[bins == index].sum()) for index in range(ECE_BINS)]
    return float(sum(gaps) / len(target))


def multi_label(probability: np.ndarray, target: np.ndarray) -> dict:
    """F1 and kappa by level under the decision rule."""
    chosen = decide(probability)
    by_level = [f1_score(target[:, level], chosen[:, level], zero_division=0) for level in range(len(LEVELS))]
    kappa = [cohen_kappa_score(target[:, level], chosen[:, level]) for level in range(len(LEVELS))]
    return {
        "f1": _rounded(by_level),
        "mean_f1": round(float(np.mean(by_level)), 4),
        "kappa": _rounded(kappa),
        "exact": round(float((chosen == target).all(1).mean()), 4),
    }


def single_label(probability: np.ndarray, target: np.ndarray) -> dict:
    """Accuracy, F1 by level, macro F1 and confusion (rows: truth) of the top level."""
    truth, guess = target.argmax(1), probability.argmax(1)
    levels = list(range(len(LEVELS)))
    by_level = f1_score(truth, guess, labels=levels, average=None, zero_division=0)
    return {
        "accuracy": round(float(accuracy_score(truth, guess)), 4),
        "f1": _rounded(by_level),
        "macro_f1": round(float(np.mean(by_level)), 4),
        "confusion": confusion_matrix(truth, guess, labels=levels).tolist(),
    }


def report(rows: list[Row], probability: np.ndarray) -> dict:
    """All figures by source, and the calibration error overall."""
    target = targets(rows)
    sources = np.array([row.source for row in rows])
    figures: dict = {"rows": len(rows), "ece": round(expected_calibration_error(probability, target), 4)}
    for source in sorted({row.source for row in rows}):
        mine = sources == source
        figure = multi_label if source == "edm2022" else single_label
        figures[source] = {
            "rows": int(mine.sum()),
            "ece": round(expected_calibration_error(probability[mine], target[mine]), 4),
            **figure(probability[mine], target[mine]),
        }
    return figures


def share_by_source(rows: list[Row], chosen: np.ndarray) -> dict[str, float]:
    """Share of the rows of each source, and of all, for which ``chosen`` (bool, shape [rows]) is true."""
    sources = np.array([row.source for row in rows])
    shares = {source: float(chosen[sources == source].mean()) for source in sorted(set(sources.tolist()))}
    return {name: round(share, 3) for name, share in {**shares, "all": float(chosen.mean())}.items()}


def by_share(rows: list[Row], student: np.ndarray, both: np.ndarray, certainty: np.ndarray) -> list[dict]:
    """Mean or macro F1 by source if the student answered the surest 0, 10, ... 100 % alone."""
    curve = []
    for tenth in range(11):
        alone = certainty >= (np.quantile(certainty, 1 - tenth / 10) if tenth else np.inf)
        figures = report(rows, np.where(alone[:, None], student, both))
        f1 = {name: figure.get("mean_f1", figure.get("macro_f1")) for name, figure in figures.items() if isinstance(figure, dict)}
        curve.append({"share": tenth / 10, "ece": figures["ece"], **f1})
    return curve


def _rounded(values: list[float]) -> list[float]:
    return [round(float(value), 3) for value in values]
