"""The stages of training, in order; each one's result is kept, so that an interrupted run goes on where it stopped."""

import copy
import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from bloom_training import artifact, base, distil, embedding, lessons, metrics, predict, specialist, word_vectors
from bloom_training.calibrate import calibrate_both, calibrate_heads, calibrate_route, calibrate_student
from bloom_training.cascade import Cascade, certainty, mixture
from bloom_training.classifier import Classifier
from bloom_training.data import LEVELS, Row, Split, tokenise
from bloom_training.distil import StudentRecipe
from bloom_training.fit import Recipe, fit, mean_of, new_model
from bloom_training.lessons import Lessons
from bloom_training.model import BloomModel
from bloom_training.polish import refit_exam_head
from bloom_training.specialist import SpecialistRecipe
from bloom_training.stages import kept
from bloom_training.student import Student

SOUP = 2
SOUP_RECIPE = Recipe(epochs=2, rate=1e-4, head_rate=3e-4, frozen_layers=2)
MIXED_EXAM = 4000
"""Texts mixed of exam questions that the specialists give their opinion on."""
STOP_SHARE = 0.65
"""Share of the dev texts, the surest ones, that the student answers alone."""
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
    """Trains on ``split.train``, steers and calibrates by ``split.dev``, writes the files and measures them on ``split.test``."""
    tokenizer, old_ids = base.pruned_tokenizer()
    start = new_model(tokenizer, old_ids)
    words = kept(options.work / "words.pt", "words", lambda: {"words": torch.tensor(word_vectors.distil(start, tokenizer))})
    teacher = _teacher(split, tokenizer, old_ids, options)
    opinion, on_mixed = _specialists(split, tokenizer, old_ids, options)
    heard = kept(
        options.work / "heard.pt",
        f"{len(split.train)}",
        lambda: {"heard": predict.by_head(teacher, tokenizer, split.train, rough=True)},
    )
    taught = lessons.from_opinions(split.train, heard["heard"], opinion)
    encoder = _encoder(split, taught, on_mixed, teacher, tokenizer, options)
    student = _student(split, taught, teacher, tokenizer, words["words"].numpy(), options)
    classifier = join(split, tokenizer, student, encoder, words["words"].numpy())
    artifact.write(options.out, classifier.to_artifact())
    written = Classifier.from_artifact(artifact.read(options.out))
    return {
        "rows": {"train": len(split.train), "dev": len(split.dev), "test": len(split.test)},
        "sha256": {name: hashlib.sha256((options.out / name).read_bytes()).hexdigest() for name in artifact.FILES},
        **_measured(split, classifier, written),
        "embedding": _embedding(split, written, start, options.seed),
    }


def _teacher(split: Split, tokenizer: Tokenizer, old_ids: np.ndarray, options: Options) -> BloomModel:
    """The model the encoder starts from and listens to: the given one, or one fine-tuned on the labels."""
    teacher = new_model(tokenizer, old_ids)
    if options.teacher:
        tensors = artifact.read_tensors(options.teacher / artifact.ENCODER)
        teacher.load_state_dict({name: torch.tensor(tensors[name]) for name in teacher.state_dict()})
        return teacher.eval()
    recipe = Recipe(seed=options.seed)
    return fit(teacher, tokenizer, split.train, lessons.from_labels(split.train), recipe, options.work / "teacher.pt")


def _specialists(split: Split, tokenizer: Tokenizer, old_ids: np.ndarray, options: Options) -> tuple[Tensor, Lessons]:
    """Mean opinion of the specialists: on each training row (0 where they are not asked), and as lessons on mixed exam texts."""
    recipe = SpecialistRecipe(seed=100 * options.seed)
    exam = [row for row in split.train if row.source == specialist.SOURCE]
    asked = [index for index, row in enumerate(split.train) if row.source in specialist.ASKED]
    mixed = _mixed_exam(split, options.seed)

    def ask(seed: int) -> dict[str, Tensor]:
        expert = specialist.train(new_model(tokenizer, old_ids), tokenizer, exam, recipe, seed)
        rows = [split.train[index] for index in asked] + mixed
        return {"opinion": specialist.opinion(expert, tokenizer, rows)}

    opinion = torch.zeros(len(asked) + len(mixed), len(LEVELS))
    identity = f"{dataclasses.asdict(recipe)} {len(exam)} {len(opinion)}"
    for seed in range(recipe.seed, recipe.seed + recipe.count):
        opinion += kept(options.work / f"specialist-{seed}.pt", identity, lambda: ask(seed))["opinion"] / recipe.count
    on_rows = torch.zeros(len(split.train), len(LEVELS))
    on_rows[asked] = opinion[: len(asked)]
    return on_rows, lessons.for_exam_head(opinion[len(asked) :])


def _mixed_exam(split: Split, seed: int) -> list[Row]:
    exam = [row for row in split.train if row.source == specialist.SOURCE]
    return distil.mixed_texts(exam, MIXED_EXAM, seed)


def _encoder(
    split: Split, taught: Lessons, on_mixed: Lessons, teacher: BloomModel, tokenizer: Tokenizer, options: Options
) -> BloomModel:
    """The mean of several encoders that go on from the teacher with batches in different order ("soup"), its exam head refitted."""

    def cook() -> dict[str, Tensor]:
        encoders = []
        for number in range(SOUP):
            recipe = dataclasses.replace(SOUP_RECIPE, seed=options.seed + 10 + number)
            checkpoint = options.work / f"encoder-{number}.pt"
            encoders.append(fit(copy.deepcopy(teacher), tokenizer, split.train, taught, recipe, checkpoint))
        soup = mean_of(encoders)
        rows = split.train + _mixed_exam(split, options.seed)
        refit_exam_head(soup, predict.pooled_vectors(soup, tokenizer, rows, rough=True), lessons.both(taught, on_mixed))
        return soup.state_dict()

    encoder = copy.deepcopy(teacher)
    identity = f"{SOUP} {dataclasses.asdict(SOUP_RECIPE)} {options.seed} {len(split.train)}"
    encoder.load_state_dict(kept(options.work / "encoder.pt", identity, cook))
    return encoder


def _student(
    split: Split, taught: Lessons, teacher: BloomModel, tokenizer: Tokenizer, words: np.ndarray, options: Options
) -> Student:
    """Taught what each text's own head is taught, and what the teacher's general head says of as many mixed texts."""
    recipe = StudentRecipe(seed=options.seed)
    mixed = distil.mixed_texts(split.train, round(recipe.mixed * len(split.train)), recipe.seed)
    texts = tokenise(tokenizer, split.train + mixed)

    def teach() -> dict[str, Tensor]:
        own = taught.targets[torch.arange(len(split.train)), taught.heads]
        said = predict.by_head(teacher, tokenizer, mixed, rough=True)[:, lessons.GENERAL]
        conventions = torch.cat([taught.heads, torch.full((len(mixed),), distil.UNKNOWN)])
        student = distil.new_student(tokenizer, words, recipe.seed)
        return distil.teach(student, texts, torch.cat([own, said]), conventions, recipe).state_dict()

    student = Student(tokenizer.get_vocab_size())
    student.load_state_dict(kept(options.work / "student.pt", distil.identity(recipe, len(texts)), teach))
    return student.eval()


def join(
    split: Split, tokenizer: Tokenizer, student: Student, encoder: BloomModel, words: np.ndarray
) -> Classifier:
    """Both networks with the route, the calibration of both paths and the certainty to stop at, all from the dev rows."""
    calibrate_heads(encoder, predict.pooled_vectors(encoder, tokenizer, split.dev), split.dev)
    heads = predict.by_head(encoder, tokenizer, split.dev)
    logits, route = predict.student_logits(student, tokenizer, split.dev)
    calibrate_route(student, route, heads, split.dev)
    logits, route = predict.student_logits(student, tokenizer, split.dev)
    targets = torch.tensor(metrics.targets(split.dev), dtype=torch.float32)
    alone = calibrate_student(logits, targets)
    stop = float(certainty(alone(logits)).quantile(1 - STOP_SHARE))
    cascade = Cascade(alone, calibrate_both(mixture(heads, route), logits, targets), round(stop, 4))
    return Classifier(tokenizer, student, encoder, cascade, words, ABSTAIN)


def _measured(split: Split, classifier: Classifier, written: Classifier) -> dict:
    """Figures on the test rows: in float, as written, of each path alone, and for other shares of the student."""
    in_float, answers = classifier.answers(split.test), written.answers(split.test)
    return {
        "test_float": metrics.report(split.test, in_float.probabilities.numpy()),
        "test_as_written": metrics.report(split.test, answers.probabilities.numpy()),
        "test_student_alone": metrics.report(split.test, answers.student.numpy()),
        "test_encoder_always": metrics.report(split.test, answers.both.numpy()),
        "answered_by_student": metrics.share_by_source(split.test, answers.stopped.numpy()),
        "shares": metrics.by_share(split.test, answers.student.numpy(), answers.both.numpy(), answers.certainty.numpy()),
        "largest_change_by_rounding": round(float((in_float.both - answers.both).abs().max()), 4),
    }


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
