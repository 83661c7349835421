"""From a teacher and rows to both networks: specialists, encoder, student; each step's result is kept."""

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from bloom_training import distil, lessons, predict, specialist
from bloom_training.calibrate import Opinions
from bloom_training.data import LEVELS, Row, tokenise
from bloom_training.distil import StudentRecipe
from bloom_training.fit import Recipe, fit, mean_of, new_model
from bloom_training.lessons import Lessons
from bloom_training.model import BloomModel
from bloom_training.polish import refit_exam_head
from bloom_training.specialist import SpecialistRecipe
from bloom_training.stages import kept
from bloom_training.student import Student

SOUP = 1
SOUP_RECIPE = Recipe(epochs=2, rate=1e-4, head_rate=3e-4, frozen_layers=2)
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
        fresh: rows to learn from that are new to it; the encoder sees them twice as often.
        work: folder for what is kept.
        seed: of everything.
    """

    tokenizer: Tokenizer
    old_ids: np.ndarray
    words: np.ndarray
    teacher: BloomModel
    learned: list[Row]
    fresh: list[Row]
    work: Path
    seed: int

    @property
    def rows(self) -> list[Row]:
        """All rows to learn from."""
        return self.learned + self.fresh

    def run(self) -> Networks:
        """All steps."""
        self.work.mkdir(parents=True, exist_ok=True)
        opinion, on_mixed = self._specialists()
        heard = kept(
            self.work / "heard.pt",
            f"{len(self.rows)}",
            lambda: {"heard": predict.by_head(self.teacher, self.tokenizer, self.rows, rough=True)},
        )
        taught = lessons.from_opinions(self.rows, heard["heard"], opinion)
        encoder = self._encoder(taught, on_mixed)
        return Networks(self._student(taught), encoder)

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

    def _encoder(self, taught: Lessons, on_mixed: Lessons) -> BloomModel:
        """The mean of several encoders that go on from the teacher with batches in different order ("soup"), its exam head refitted."""
        rows = self.rows + self._mixed_exam()
        taught = lessons.both(taught, on_mixed)
        taught.repeats[len(self.learned) : len(self.rows)] *= 2

        def cook() -> dict[str, Tensor]:
            encoders = []
            for number in range(SOUP):
                recipe = dataclasses.replace(SOUP_RECIPE, seed=self.seed + 10 + number)
                checkpoint = self.work / f"encoder-{number}.pt"
                encoders.append(fit(copy.deepcopy(self.teacher), self.tokenizer, rows, taught, recipe, checkpoint))
            soup = mean_of(encoders)
            refit_exam_head(soup, predict.pooled_vectors(soup, self.tokenizer, rows, rough=True), taught)
            return soup.state_dict()

        encoder = copy.deepcopy(self.teacher)
        identity = f"{SOUP} {dataclasses.asdict(SOUP_RECIPE)} {self.seed} {len(rows)}"
        encoder.load_state_dict(kept(self.work / "encoder.pt", identity, cook))
        return encoder.eval()

    def _student(self, taught: Lessons) -> Student:
        """Taught what each text's own head is taught, and what the teacher's general head says of as many mixed texts."""
        recipe = StudentRecipe(seed=self.seed)
        mixed = distil.mixed_texts(self.rows, round(recipe.mixed * len(self.rows)), recipe.seed)
        texts = tokenise(self.tokenizer, self.rows + mixed)

        def teach() -> dict[str, Tensor]:
            own = taught.targets[torch.arange(len(self.rows)), taught.heads]
            said = predict.by_head(self.teacher, self.tokenizer, mixed, rough=True)[:, lessons.GENERAL]
            conventions = torch.cat([taught.heads, torch.full((len(mixed),), distil.UNKNOWN)])
            student = distil.new_student(self.tokenizer, self.words, recipe.seed)
            return distil.teach(student, texts, torch.cat([own, said]), conventions, recipe).state_dict()

        student = Student(self.tokenizer.get_vocab_size())
        student.load_state_dict(kept(self.work / "student.pt", distil.identity(recipe, len(texts)), teach))
        return student.eval()
