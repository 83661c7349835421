"""From a teacher and rows to both networks: specialists, encoder, student; each step's result is kept."""

import copy
import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from bloom_training import distil, lessons, predict, specialist
from bloom_training.calibrate import Opinions
from bloom_training.data import LEVELS, Row, tokenise
from bloom_training.distil import StudentRecipe
from bloom_training.fit import Recipe, fit, new_model
from bloom_training.lessons import Lessons
from bloom_training.model import BloomModel
from bloom_training.polish import refit_exam_head
from bloom_training.specialist import SpecialistRecipe
from bloom_training.stages import kept
from bloom_training.student import Student

ENCODER_RECIPE = Recipe(rate=1e-4, head_rate=3e-4, frozen_layers=2)
FRESH_REPEATS = 4
"""Times the encoder sees a row that its teacher has not learned from for each time it sees another."""
MIXED_EXAM = 4000
"""Texts mixed of exam questions that the specialists give their opinion on."""


@dataclass(frozen=True)
class Networks:
    """A student and an encoder of one course, not calibrated."""

    student: Student
    encoder: BloomModel

    def opinions(self, tokenizer: Tokenizer, rows: list[Row]) -> Opinions:
        """What both say of ``rows``."""
        logits, route = predict.student_logits(self.student, tokenizer, rows)
        return Opinions(predict.head_logits(self.encoder, tokenizer, rows), logits, route)


@dataclass(frozen=True)
class Course:
    """Trains networks on some rows.

    Attributes:
        tokenizer: of the model.
        old_ids: of the kept tokens in the base encoder's vocabulary.
        words: search vectors, shape [V, dimensions], from which the student's vectors begin.
        teacher: the encoder to start from and to listen to.
        learned: rows to learn from that the teacher has learned from.
        fresh: rows to learn from that are new to it; the encoder sees them FRESH_REPEATS times as often.
        epochs: of the encoder.
        work: folder for what is kept.
        seed: of everything.
    """

    tokenizer: Tokenizer
    old_ids: np.ndarray
    words: np.ndarray
    teacher: BloomModel
    learned: list[Row]
    fresh: list[Row]
    epochs: int
    work: Path
    seed: int

    @property
    def rows(self) -> list[Row]:
        """All rows to learn from."""
        return self.learned + self.fresh

    def networks(self) -> Networks:
        """Both of them."""
        return Networks(self.student(), self.encoder())

    @cached_property
    def _lessons(self) -> tuple[Lessons, Lessons]:
        """On the rows, and on mixed exam texts."""
        self.work.mkdir(parents=True, exist_ok=True)
        opinion, on_mixed = self._specialists()
        heard = kept(
            self.work / "heard.pt",
            f"{len(self.rows)}",
            lambda: {"heard": predict.by_head(self.teacher, self.tokenizer, self.rows, rough=True)},
        )
        return lessons.from_opinions(self.rows, heard["heard"], opinion), on_mixed

    def _specialists(self) -> tuple[Tensor, Lessons]:
        """Mean opinion of the specialists: on each row (0 where they are not asked), and as lessons on mixed exam texts."""
        recipe = SpecialistRecipe(seed=100 * self.seed)
        exam = [row for row in self.rows if row.source == specialist.SOURCE]
        asked = [index for index, row in enumerate(self.rows) if row.source in specialist.ASKED]
        texts = [self.rows[index] for index in asked] + self._mixed_exam()

        def ask(seed: int) -> dict[str, Tensor]:
            expert = specialist.train(new_model(self.tokenizer, self.old_ids), self.tokenizer, exam, recipe, seed)
            return {"opinion": specialist.opinion(expert, self.tokenizer, texts)}

        opinion = torch.zeros(len(texts), len(LEVELS))
        identity = f"{dataclasses.asdict(recipe)} {len(exam)} {len(texts)}"
        for seed in range(recipe.seed, recipe.seed + recipe.count):
            opinion += kept(self.work / f"specialist-{seed}.pt", identity, lambda: ask(seed))["opinion"] / recipe.count
        on_rows = torch.zeros(len(self.rows), len(LEVELS))
        on_rows[asked] = opinion[: len(asked)]
        return on_rows, lessons.for_exam_head(opinion[len(asked) :])

    def _mixed_exam(self) -> list[Row]:
        exam = [row for row in self.rows if row.source == specialist.SOURCE]
        return distil.mixed_texts(exam, MIXED_EXAM, self.seed)

    def encoder(self) -> BloomModel:
        """The teacher gone on with; its exam head refitted in the end."""
        rows = self.rows + self._mixed_exam()
        taught = lessons.both(*self._lessons)
        taught.repeats[len(self.learned) : len(self.rows)] *= FRESH_REPEATS
        recipe = dataclasses.replace(ENCODER_RECIPE, epochs=self.epochs, seed=self.seed + 10)

        def go_on() -> dict[str, Tensor]:
            encoder = fit(copy.deepcopy(self.teacher), self.tokenizer, rows, taught, recipe, self.work / "encoder-run.pt")
            refit_exam_head(encoder, predict.pooled_vectors(encoder, self.tokenizer, rows, rough=True), taught)
            return encoder.state_dict()

        encoder = copy.deepcopy(self.teacher)
        identity = f"{dataclasses.asdict(recipe)} {len(rows)}"
        encoder.load_state_dict(kept(self.work / "encoder.pt", identity, go_on))
        return encoder.eval()

    def student(self) -> Student:
        """Taught what each text's own head is taught, and what the teacher's general head says of as many mixed texts."""
        recipe = StudentRecipe(seed=self.seed)
        mixed = distil.mixed_texts(self.rows, round(recipe.mixed * len(self.rows)), recipe.seed)
        texts = tokenise(self.tokenizer, self.rows + mixed)
        taught, _ = self._lessons

        def teach() -> dict[str, Tensor]:
            own = taught.targets[torch.arange(len(self.rows)), taught.heads]
            said = predict.by_head(self.teacher, self.tokenizer, mixed, rough=True)[:, lessons.GENERAL]
            conventions = torch.cat([taught.heads, torch.full((len(mixed),), distil.UNKNOWN)])
            student = distil.new_student(self.tokenizer, self.words, recipe.seed)
            return distil.teach(student, texts, torch.cat([own, said]), conventions, recipe).state_dict()

        student = Student(self.tokenizer.get_vocab_size())
        student.load_state_dict(kept(self.work / "student.pt", distil.identity(recipe, len(texts)), teach))
        return student.eval()
