"""Run with ``python -m pytest`` in models/training."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bloom_training import (
    artifact,
    base,
    calibrate,
    cascade,
    course,
    data,
    distil,
    fit,
    lessons,
    metrics,
    phrases,
    pipeline,
    predict,
    specialist,
    stages,
    word_vectors,
)
from bloom_training.cascade import BothCalibration, Cascade, StudentCalibration
from bloom_training.classifier import Classifier
from bloom_training.data import LEVELS, Row
from bloom_training.model import BloomModel, Dropout, WideModel, _bucket
from bloom_training.student import Student

MODEL = Path(__file__).parents[2] / "bloom"
REFERENCE = Path(__file__).parents[1] / "reference.json"

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


def test_sources_left_out_are_kept_apart() -> None:
    split = data.split_rows(rows(60), ["aeqg2024", "kaggle8k"])
    assert {row.source for row in split.unseen} == {"aeqg2024", "kaggle8k"}
    assert len(split.unseen) == 24
    assert {row.source for row in split.train} == {"edm2022", "yahya2012", "vmd7_extra"}


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
    taught, recipe = rows(12), fit.Recipe(epochs=1, batch=4)

    def run(name: str) -> BloomModel:
        torch.manual_seed(0)
        model = fit.new_model(tokenizer, old_ids)
        return fit.fit(model, tokenizer, taught, lessons.from_labels(taught), recipe, tmp_path / name)

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


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    stages.kept(tmp_path / "stage.pt", "one", lambda: {"x": torch.ones(2)})
    assert torch.equal(stages.kept(tmp_path / "stage.pt", "one", dict)["x"], torch.ones(2))
    with pytest.raises(ValueError, match="another run"):
        stages.kept(tmp_path / "stage.pt", "two", dict)


def test_frozen_layers_stay_as_they_are_and_the_others_learn(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    tokenizer, old_ids = base.pruned_tokenizer()
    taught = rows(8)
    before, after = (fit.new_model(tokenizer, old_ids) for _ in range(2))
    recipe = fit.Recipe(epochs=1, batch=4, frozen_layers=2)
    fit.fit(after, tokenizer, taught, lessons.from_labels(taught), recipe, tmp_path / "c.pt")
    same = [torch.equal(a.qkv.weight, b.qkv.weight) for a, b in zip(before.layers, after.layers, strict=True)]
    assert same == [True, True, False, False, False, False]


def test_labels_teach_the_head_of_their_source_and_the_general_head() -> None:
    taught = lessons.from_labels([Row("a", ("apply",), "kaggle8k", 0), Row("b", ("create", "apply"), "edm2022", 1)])
    assert taught.heads.tolist() == [lessons.HEADS.index("exam_noisy"), lessons.OBJECTIVES]
    assert (taught.weights > 0).sum(1).tolist() == [2, 2]
    assert taught.targets[1, lessons.OBJECTIVES].tolist() == [0, 0, 1, 0, 0, 1]
    assert taught.repeats.tolist() == [1, 1]


def test_specialists_teach_the_exam_head_about_other_questions_but_not_about_objectives() -> None:
    sources = ("yahya2012", "kaggle8k", "edm2022")
    some = [Row(source, ("apply",), source, number) for number, source in enumerate(sources)]
    said = torch.full((3, len(lessons.HEADS), 6), 0.2)
    said[1, lessons.EXAM] = 0.7
    taught = lessons.from_opinions(some, said)
    assert taught.weights[:, lessons.EXAM].tolist() == pytest.approx([1.0, lessons.EXAM_WEIGHT, 0.0])
    assert taught.targets[1, lessons.EXAM].tolist() == pytest.approx([0.7] * 6)
    assert taught.targets[0, lessons.EXAM, 2].item() == pytest.approx(lessons.LABEL_SHARE + 0.2 * (1 - lessons.LABEL_SHARE))


def test_mixed_texts_teach_their_own_head_and_the_general_head_what_is_said_and_follow_the_rows() -> None:
    said = torch.full((1, len(lessons.HEADS), 6), 0.4)
    mixed = lessons.from_opinions_alone([Row("a", (), "yahya2012", -1)], said)
    joined = lessons.both(lessons.from_labels(rows(3)), mixed)
    assert joined.weights[3].nonzero()[:, 0].tolist() == [lessons.EXAM, lessons.GENERAL]
    assert torch.equal(joined.targets[3:], said)
    assert joined.repeats.tolist() == [1, 4, 1, 1]


def test_an_epoch_has_each_row_as_often_as_it_repeats() -> None:
    batches = data.epoch_batches([1, 3, 2], [5, 6, 7], 4, 1)
    assert sorted(index for batch in batches for index in batch) == [0, 1, 1, 1, 2, 2]


def test_a_run_writes_a_model_that_reads_back_and_a_second_run_repeats_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    short = {"epochs": 1, "batch": 8}
    monkeypatch.setattr(pipeline, "Recipe", lambda seed: fit.Recipe(**short, seed=seed))
    for recipe in ("ENCODER_RECIPE", "FINAL_ENCODER_RECIPE"):
        monkeypatch.setattr(course, recipe, fit.Recipe(**short, frozen_layers=5))
    monkeypatch.setattr(course, "STUDENT_RECIPE", distil.StudentRecipe(**short))
    for count in ("MIXED_EXAM", "MIXED_STUDENT"):
        monkeypatch.setattr(course, count, 5)
    old_ids = base.pruned_tokenizer()[1]
    monkeypatch.setattr(course, "new_wide_model", lambda tokenizer: fit.new_model(tokenizer, old_ids))
    monkeypatch.setattr(course, "SpecialistRecipe", lambda seed: specialist.SpecialistRecipe(**short, count=1, seed=seed))
    words = np.random.default_rng(0).normal(size=(base.pruned_tokenizer()[0].get_vocab_size(), 256)).astype(np.float32)
    monkeypatch.setattr(word_vectors, "distil", lambda *_: words)
    some = [dataclasses.replace(row, cluster=row.cluster // 2) for row in rows(90)]
    split = data.Split(some[:50], some[50:70], some[70:])
    options = pipeline.Options(tmp_path / "model", tmp_path / "work", None, 1)
    options.work.mkdir()
    first = pipeline.run(split, options)
    assert first["rows"] == {"train": 50, "dev": 20, "test": 20}
    assert set(first["test_as_written"]) > {"ece", "edm2022", "yahya2012"}
    second = pipeline.run(split, pipeline.Options(tmp_path / "again", tmp_path / "work", None, 1))
    assert second["sha256"] == first["sha256"]
    apart = data.Split(split.train, split.dev, split.test, split.test)
    third = pipeline.run(apart, pipeline.Options(tmp_path / "unseen", tmp_path / "work", None, 1))
    assert "sha256" not in third and not (tmp_path / "unseen").exists()
    assert third["unseen"]["as_written"]["kaggle8k"] == first["test_as_written"]["kaggle8k"]


def test_a_specialist_learns_its_questions() -> None:
    torch.set_num_threads(1)
    tokenizer, old_ids = base.pruned_tokenizer()
    questions = [dataclasses.replace(row, source=specialist.SOURCE) for row in rows(12)]
    recipe = specialist.SpecialistRecipe(epochs=12, batch=6, rate=3e-4, head_rate=1e-2)
    trained = specialist.train(fit.new_model(tokenizer, old_ids), tokenizer, questions, recipe, 1)
    said = specialist.opinion(trained, tokenizer, questions)
    assert said.argmax(1).tolist() == [row.target.argmax() for row in questions]
    assert torch.allclose(said.sum(1), torch.ones(12))


def test_the_student_does_not_see_padding() -> None:
    torch.manual_seed(0)
    student = Student(50).eval()
    texts = [[2, 7, 9, 3], [2, 11, 12, 13, 14, 15, 16, 3]]
    together = student(*data.pad(texts))
    for number, text in enumerate(texts):
        for all_texts, alone in zip(together, student(*data.pad([text])), strict=True):
            assert torch.allclose(all_texts[number], alone[0], atol=1e-5)


def test_the_student_learns_what_it_is_taught() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer, _ = base.pruned_tokenizer()
    taught = rows(24)
    words = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 128)).astype(np.float32)
    targets = torch.tensor(metrics.targets(taught), dtype=torch.float32)
    student = distil.new_student(tokenizer, words, 1)
    recipe = distil.StudentRecipe(epochs=60, batch=8)
    conventions = lessons.from_labels(taught).heads
    once = torch.ones(24, dtype=torch.long)
    distil.teach(student, data.tokenise(tokenizer, taught), targets, conventions, once, recipe)
    levels, route = predict.student_logits(student, tokenizer, taught)
    assert levels.argmax(1).tolist() == targets.argmax(1).tolist()
    assert len(set(route.argmax(1).tolist())) > 1


def test_phrases_of_exam_questions_say_what_these_were_called() -> None:
    tokenizer, _ = base.pruned_tokenizer()
    taught = [Row(f"{row.text} {number}", row.labels, "kaggle8k", number) for number, row in enumerate(rows(60))]
    learned = phrases.train(tokenizer, taught + [Row("Name it.", ("create",), "edm2022", 60)] * 2)
    assert (np.diff(learned.keys.astype(np.int64)) > 0).all()
    assert not np.isin(phrases.keys(tokenizer.encode("Name it.").ids), learned.keys).all()
    known = learned.logits(tokenizer, [Row("Compare part 2 of the plant.", (), "kaggle8k", 0)])[0]
    noisy = lessons.HEADS.index("exam_noisy")
    assert LEVELS[known[noisy].argmax()] == "analyze"
    assert known[[head for head in range(len(lessons.HEADS)) if head != noisy]].abs().max() == 0


def test_without_exam_questions_no_phrases_are_known() -> None:
    tokenizer, _ = base.pruned_tokenizer()
    for others in ([row for row in rows(20) if row.source == "edm2022"], []):
        learned = phrases.train(tokenizer, others)
        assert len(learned.keys) == 0
        assert learned.logits(tokenizer, rows(3)).abs().max() == 0


def test_keys_of_phrases_are_fnv_1a_over_token_ids() -> None:
    def fnv(ids: tuple[int, ...]) -> int:
        key = 0x811C9DC5
        for token in ids:
            key = (key ^ token) * 0x01000193 % 2**32
        return key

    runs = [(2,), (7,), (3,), (2, 7), (7, 7), (7, 3), (2, 7, 7), (7, 7, 3)]
    assert phrases.keys([2, 7, 7, 3]).tolist() == sorted(fnv(run) for run in runs)
    assert phrases.keys([2, 3]).tolist() == sorted(fnv(run) for run in [(2,), (3,), (2, 3)])


def test_known_phrases_of_a_text_weigh_alike() -> None:
    known = np.union1d(phrases.keys([5, 6]), phrases.keys([9]))
    found = phrases.features([[5, 6], [9, 9], [1, 1]], known).toarray()
    assert (found > 0).sum(1).tolist() == [3, 1, 0]
    assert np.square(found).sum(1).tolist() == pytest.approx([1, 1, 0])


def test_mixed_texts_join_a_beginning_and_an_end_and_depend_on_the_seed_alone() -> None:
    some = [Row("one two three four five", (), "edm2022", 0), Row("six seven eight nine ten", (), "edm2022", 1)]
    some.append(Row("Why not?", (), "kaggle8k", 2))
    mixed = distil.mixed_texts(some, 20, 3)
    assert mixed == distil.mixed_texts(some, 20, 3) != distil.mixed_texts(some, 20, 4)
    joined = [row.text.split() for row in mixed if row.source == "edm2022"]
    assert all(text[0] in ("one", "six") and text[-1] in ("five", "ten") for text in joined)
    assert {row.text.split()[0] for row in mixed if row.source == "kaggle8k"} == {"Why"}


def test_certainty_is_the_distance_of_the_nearest_level_and_none_without_a_level() -> None:
    probability = torch.tensor([[0.9, 0.2, 0.0, 0, 0, 0], [0.4, 0.1, 0.0, 0, 0, 0], [1.0, 0, 0, 0, 0, 0]])
    assert cascade.certainty(probability).tolist() == pytest.approx([0.6, 0.0, 1.0])


def test_the_cascade_takes_the_path_of_the_students_certainty() -> None:
    ones, zeros = torch.ones(6), torch.zeros(6)
    joined = Cascade(StudentCalibration(ones, zeros), BothCalibration(ones, zeros, zeros), 0.5)
    student = torch.tensor([[3.0, -3, -3, -3, -3, -3], [0.1, -3, -3, -3, -3, -3]])
    mixture = torch.full((2, 6), 0.3)
    probability, stopped = joined(student, mixture)
    assert stopped.tolist() == [True, False]
    assert torch.allclose(probability[0], torch.sigmoid(student[0]))
    assert torch.allclose(probability[1], mixture[1])


def test_the_model_in_the_repository_reads_back_and_gives_its_reference() -> None:
    torch.set_num_threads(1)
    entries = json.loads(REFERENCE.read_text(encoding="utf-8"))
    classifier = Classifier.from_artifact(artifact.read(MODEL))
    assert {entry["stage"] for entry in entries} == {"student", "encoder"}
    for expected, got in zip(entries, classifier.reference([entry["text"] for entry in entries]), strict=True):
        assert got["stage"] == expected["stage"]
        assert got["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)


def test_writing_and_reading_loses_only_the_rounding(tmp_path: Path) -> None:
    first = artifact.read(MODEL)
    artifact.write(tmp_path, first)
    second = artifact.read(tmp_path)
    assert second.config == first.config
    for file, tensors in first.tensors.items():
        for name, value in tensors.items():
            assert np.allclose(value, second.tensors[file][name], atol=1e-6), (file, name)
    assert sum((MODEL / name).stat().st_size for name in artifact.FILES) <= 35_000_000


def test_the_route_is_calibrated_to_the_head_that_is_right() -> None:
    some = [Row("a", ("apply",), "kaggle8k", number) for number in range(200)]
    heads = torch.full((200, len(lessons.HEADS), 6), 0.1)
    heads[:, lessons.GENERAL, 2] = 0.9
    route = torch.zeros(200, len(lessons.HEADS))
    before = cascade.mixture(heads, route)[:, 2].mean()
    sharpness, shift = calibrate.calibrate_route(route, heads, some)
    assert cascade.mixture(heads, sharpness * route + shift)[:, 2].mean() > before + 0.3
    assert shift.argmax() == lessons.GENERAL


def test_calibration_folded_into_the_networks_gives_what_it_was_fitted_to() -> None:
    torch.manual_seed(0)
    student, encoder, count = Student(9).eval(), BloomModel(9, 8, len(lessons.HEADS), 6), len(lessons.HEADS)
    torch.nn.init.normal_(encoder.heads.weight)
    pooled, hidden = torch.randn(7, 384), torch.randn(7, 256)
    alone = StudentCalibration(torch.ones(6), torch.zeros(6))
    joined = Cascade(alone, BothCalibration(torch.ones(6), torch.zeros(6), torch.zeros(6)), 0.5)
    found = calibrate.Calibration(torch.rand(count), torch.rand(count, 6), torch.tensor(1.3), torch.rand(count), joined)
    with torch.no_grad():
        heads = encoder.heads(pooled) * found.scale[:, None] + found.bias
        route = student.route(hidden) * found.sharpness + found.shift
        found.apply(student, encoder)
        assert torch.allclose(encoder.heads(pooled), heads, atol=1e-4)
        assert torch.allclose(student.route(hidden), route, atol=1e-5)


def test_shares_give_the_student_the_surest_texts_first() -> None:
    some = rows(12)
    right = np.stack([row.target for row in some]).astype(np.float32)
    sure = np.linspace(0, 1, 12)
    curve = metrics.by_share(some, 1 - right, right, sure)
    assert curve[0]["kaggle8k"] > curve[10]["kaggle8k"]
    assert [point["share"] for point in curve] == [tenth / 10 for tenth in range(11)]


def test_the_wide_teacher_does_not_see_padding_and_hears_how_far_tokens_are() -> None:
    torch.manual_seed(0)
    wide = WideModel(20, 16, len(lessons.HEADS), 6).eval()
    torch.nn.init.normal_(wide.distance)
    texts = [[2, 7, 9, 3], [2, 11, 12, 13, 14, 15, 16, 3]]
    together = wide.pooled(*data.pad(texts))
    assert torch.allclose(together[0], wide.pooled(*data.pad(texts[:1]))[0], atol=1e-4)
    assert _bucket(torch.tensor([-200, -9, -2, 0, 2, 9, 200])).tolist() == [15, 8, 2, 0, 18, 24, 31]


def test_dropout_keeps_the_mean_and_does_nothing_outside_training() -> None:
    torch.manual_seed(0)
    dropout, ones = Dropout(0.1), torch.ones(200, 201)
    dropped = dropout(ones)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert torch.equal(dropout.eval()(ones), ones)
