"""Run with ``python -m pytest`` in models/training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bloom_training import artifact, base, data, fit, metrics, predict
from bloom_training.data import LEVELS, Row
from bloom_training.model import BloomModel

VERBS = ("Name", "Explain", "Use", "Compare", "Judge", "Design")


def rows(count: int) -> list[Row]:
    """Rows of every level and source, each its own cluster."""
    sources = list(data.SOURCES)
    return [
        Row(f"{VERBS[i % 6]} part {i} of the plant.", (LEVELS[i % 6],), sources[i % len(sources)], i)
        for i in range(count)
    ]


def test_rounding_to_8_bits_is_within_half_a_step_and_survives_zero_rows() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32)
    weight[2] = 0.0
    stored, scale = artifact.quantise_rows(weight)
    assert stored.dtype == np.uint8
    assert stored.min() >= 1
    error = np.abs(artifact.dequantise_rows(stored, scale) - weight)
    assert (error <= scale[:, None] * 0.501).all()


def test_split_keeps_clusters_together_and_does_not_depend_on_order() -> None:
    twins = [Row(f"text {i}", ("apply",), "edm2022", i // 3) for i in range(3000)]
    split, reversed_split = data.split_rows(twins), data.split_rows(twins[::-1])
    parts = [{row.cluster for row in part} for part in (split.train, split.dev, split.test)]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert len(split.train) + len(split.dev) + len(split.test) == 3000
    assert {row.text for row in split.test} == {row.text for row in reversed_split.test}
    assert 0.07 < len(split.test) / 3000 < 0.13


def test_tokenizer_keeps_symbols_and_reads_special_names_as_text() -> None:
    tokenizer, old_ids = base.pruned_tokenizer()
    assert tokenizer.encode("x² ≤ µ → “α”").ids.count(tokenizer.token_to_id("[UNK]")) == 0
    assert tokenizer.encode("[SEP]").tokens == ["[CLS]", "[", "sep", "]", "[SEP]"]
    assert len(tokenizer.encode("word " * 500).ids) == base.MAX_TOKENS
    assert len(old_ids) == tokenizer.get_vocab_size()


def test_decision_takes_all_levels_over_the_threshold_or_the_top_one() -> None:
    chosen = predict.decide(np.array([[0.6, 0.1, 0.5, 0, 0, 0], [0.1, 0.4, 0.3, 0, 0, 0]]))
    assert chosen.tolist() == [[True, False, True, False, False, False], [False, True, False, False, False, False]]


def test_calibration_error_is_the_gap_of_confidence_and_hits() -> None:
    probability = np.zeros((10, 6))
    probability[:, 1] = 0.8
    target = np.zeros((10, 6), dtype=bool)
    target[:5, 1] = True
    assert metrics.expected_calibration_error(probability, target) == pytest.approx(0.3)


def test_a_stopped_run_ends_as_an_unbroken_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "CHECKPOINT_STEPS", 2)
    torch.set_num_threads(1)
    tokenizer, old_ids = base.pruned_tokenizer()

    def run(name: str) -> BloomModel:
        torch.manual_seed(0)
        model = fit.new_model(tokenizer, old_ids)
        return fit.fit(model, tokenizer, rows(12), fit.Recipe(epochs=1, batch=4), tmp_path / name)

    unbroken = run("a.pt")
    advance = fit._Run.advance

    def fail_after_three(state: fit._Run, loss: torch.Tensor) -> None:
        if state.step == 3:
            raise KeyboardInterrupt
        advance(state, loss)

    monkeypatch.setattr(fit._Run, "advance", fail_after_three)
    with pytest.raises(KeyboardInterrupt):
        run("b.pt")
    monkeypatch.setattr(fit._Run, "advance", advance)
    resumed = run("b.pt")
    for name, value in unbroken.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
