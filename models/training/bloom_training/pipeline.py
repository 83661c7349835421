"""The whole training: a trial on part of the rows, measured on the others, whose encoder then goes on over all of them."""

import copy
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from bloom_training import artifact, base, embedding, lessons, metrics, predict, word_vectors
from bloom_training.calibrate import Calibration, Opinions, calibrate
from bloom_training.classifier import Classifier
from bloom_training.course import Networks, Setting, Trial, final_networks
from bloom_training.data import Row, Split
from bloom_training.fit import Recipe, fit, new_model
from bloom_training.model import BloomModel
from bloom_training.stages import kept

STOP_SHARE = 0.65
"""Share of the texts calibrated by, the surest ones, that the student answers alone."""
ABSTAIN = 0.5
"""Answers whose calibrated confidence is below this, so more likely wrong than right, are called not sure."""


@dataclass(frozen=True)
class Options:
    """Where things are: model files, kept stages, a teacher's files (or None to train one); and the seed."""

    out: Path
    work: Path
    teacher: Path | None
    seed: int


def run(split: Split, options: Options) -> dict:
    """Trains on ``split.train``, measures that on ``split.test``; its encoder goes on over all three parts to what is written for use.

    The model for use has the measured one's student and is calibrated by that one's opinions on all rows which it has not learned from.
    If there are rows of unseen sources, the first model is measured on them too, and none is written for use.
    """
    tokenizer, old_ids = base.pruned_tokenizer()
    start = new_model(tokenizer, old_ids)
    words = kept(options.work / "words.pt", "words", lambda: {"words": torch.tensor(word_vectors.distil(start, tokenizer))})
    vectors = words["words"].numpy()

    def setting(folder: str) -> Setting:
        (options.work / folder).mkdir(exist_ok=True)
        return Setting(tokenizer, vectors, options.work / folder, options.seed)

    course = Trial(setting("trial"), _teacher(split, tokenizer, old_ids, options), split.train)
    trial, fresh = course.networks(), split.dev + split.test
    identity = f"{len(fresh)} rows, {len(trial.phrases.keys)} phrases"
    said = kept(options.work / "trial" / "opinions.pt", identity, lambda: vars(trial.opinions(tokenizer, fresh)))
    opinions = Opinions(**said)
    by_dev = calibrate(opinions.first(len(split.dev)), split.dev, STOP_SHARE)
    in_float = joined(tokenizer, trial, by_dev, vectors)
    artifact.write(options.work / "trial" / "model", in_float.to_artifact())
    written = Classifier.from_artifact(artifact.read(options.work / "trial" / "model"))
    figures = {
        "rows": {"train": len(split.train), "dev": len(split.dev), "test": len(split.test)},
        **_measured(split.test, in_float, written),
        "embedding": _embedding(split, written, start, options.seed),
    }
    if split.unseen:
        return {**figures, "unseen": _unseen(split.unseen, written)}
    print(f"Trial on the test rows: {json.dumps(figures['test_as_written'])}", flush=True)
    final = final_networks(setting("final"), course, trial, fresh)
    calibration = calibrate(opinions, fresh, STOP_SHARE)
    artifact.write(options.out, joined(tokenizer, final, calibration, vectors).to_artifact())
    sums = {name: hashlib.sha256((options.out / name).read_bytes()).hexdigest() for name in artifact.FILES}
    return {**figures, "sha256": sums}


def joined(tokenizer: Tokenizer, networks: Networks, calibration: Calibration, words: np.ndarray) -> Classifier:
    """Networks and phrases, calibrated, as one model."""
    student, encoder = copy.deepcopy(networks.student), copy.deepcopy(networks.encoder)
    calibration.apply(student, encoder)
    return Classifier(tokenizer, student, networks.phrases, encoder, calibration.cascade, words, ABSTAIN)


def _teacher(split: Split, tokenizer: Tokenizer, old_ids: np.ndarray, options: Options) -> BloomModel:
    """The model the encoder starts from and listens to: the given one, or one fine-tuned on the labels."""
    teacher = new_model(tokenizer, old_ids)
    if options.teacher:
        tensors = artifact.read_tensors(options.teacher / artifact.ENCODER)
        teacher.load_state_dict({name: torch.tensor(tensors[name]) for name in teacher.state_dict()})
        return teacher.eval()
    recipe = Recipe(seed=options.seed)
    return fit(teacher, tokenizer, split.train, lessons.from_labels(split.train), recipe, options.work / "teacher.pt")


def _measured(rows: list[Row], classifier: Classifier, written: Classifier) -> dict:
    """Figures on the test rows: in float, as written, of each path alone, and for other shares of the student."""
    in_float, answers = classifier.answers(rows), written.answers(rows)
    return {
        "test_float": metrics.report(rows, in_float.probabilities.numpy()),
        "test_as_written": metrics.report(rows, answers.probabilities.numpy()),
        "test_student_alone": metrics.report(rows, answers.student.numpy()),
        "test_encoder_always": metrics.report(rows, answers.both.numpy()),
        "answered_by_student": metrics.share_by_source(rows, answers.stopped.numpy()),
        "shares": metrics.by_share(rows, answers.student.numpy(), answers.both.numpy(), answers.certainty.numpy()),
        "largest_change_by_rounding": round(float((in_float.both - answers.both).abs().max()), 4),
    }


def _unseen(rows: list[Row], written: Classifier) -> dict:
    """Figures on sources that no network has learned from: as written, and of each path alone."""
    answers = written.answers(rows)
    paths = {"as_written": answers.probabilities, "student_alone": answers.student, "encoder_always": answers.both}
    return {path: metrics.report(rows, probabilities.numpy()) for path, probabilities in paths.items()}


def _embedding(split: Split, written: Classifier, start: BloomModel, seed: int) -> dict:
    """How well the vectors serve search, beside the base encoder's."""
    searched = embedding.clustered(split.train) + split.test
    vectors = word_vectors.text_vectors(written.words, written.tokenizer, searched)
    found, queries = embedding.near_duplicates_found(vectors, searched)
    base_vectors = predict.pooled_vectors(start, written.tokenizer, searched)
    tests = slice(len(searched) - len(split.test), None)
    return {
        "near_duplicates_found_at_rank_1": round(found, 4),
        "by_the_base_encoder": round(embedding.near_duplicates_found(base_vectors, searched)[0], 4),
        "near_duplicate_queries": queries,
        "spearman_with_base": round(embedding.agreement(vectors[tests], base_vectors[tests], seed), 4),
    }
