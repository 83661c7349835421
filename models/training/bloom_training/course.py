"""From a teacher and rows to both networks; each step's result is kept.

The trial: specialists, encoder, student. The final course: the encoder goes on from the trial's.
"""

import copy
import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from bloom_training import distil, lessons, phrases, predict, specialist
from bloom_training.calibrate import Opinions
from bloom_training.data import LEVELS, SOURCES, Row, tokenise
from bloom_training.distil import StudentRecipe
from bloom_training.fit import Recipe, fit, new_wide_model
from bloom_training.lessons import Lessons
from bloom_training.model import BloomModel
from bloom_training.phrases import Phrases
from bloom_training.polish import refit_exam_head
from bloom_training.specialist import SpecialistRecipe
from bloom_training.stages import kept
from bloom_training.student import Student

ENCODER_RECIPE = Recipe(epochs=2, batch=48, rate=1.2e-4, head_rate=3e-4)
FINAL_ENCODER_RECIPE = Recipe(epochs=0.6, batch=48, rate=1e-4, head_rate=3e-4, frozen_layers=2)
STUDENT_RECIPE = StudentRecipe()
FRESH_REPEATS = 4
"""Times the final course sees a row that the trial has not learned from for each time it sees another."""
MIXED_EXAM = 4000
"""Texts mixed of exam questions, which the specialists answer."""
MIXED_STUDENT = 24_000
"""Texts mixed of all rows, which the finished encoder answers for the student."""


@dataclass(frozen=True)
class Setting:
    """What all steps share.

    Attributes:
        tokenizer: of the model.
        words: search vectors, shape [V, dimensions], from which the student's vectors begin.
        work: folder for what is kept.
        seed: of everything.
    """

    tokenizer: Tokenizer
    words: np.ndarray
    work: Path
    seed: int

    def by_head(self, name: str, model: BloomModel, rows: list[Row]) -> Tensor:
        """What ``model`` says of ``rows`` by each head, kept under ``name``; shape [rows, heads, 6]."""

        def ask() -> dict[str, Tensor]:
            return {"said": predict.by_head(model, self.tokenizer, rows, rough=True)}

        return kept(self.work / name, f"{len(rows)}", ask)["said"]


@dataclass(frozen=True)
class Networks:
    """A student with its phrases and an encoder of one course, not calibrated."""

    student: Student
    phrases: Phrases
    encoder: BloomModel

    def opinions(self, tokenizer: Tokenizer, rows: list[Row]) -> Opinions:
        """What all say of ``rows``."""
        logits, route = predict.student_logits(self.student, tokenizer, rows)
        heads = predict.head_logits(self.encoder, tokenizer, rows)
        return Opinions(heads, logits, route, self.phrases.logits(tokenizer, rows))


@dataclass(frozen=True)
class Matter:
    """Rows, texts mixed of rows, and what the heads are taught about both."""

    rows: list[Row]
    mixed: list[Row]
    on_rows: Lessons
    on_mixed: Lessons


@dataclass(frozen=True)
class Trial:
    """Trains networks on ``rows``, with ``teacher``, which has learned from no others, to start from and to listen to."""

    setting: Setting
    teacher: BloomModel
    rows: list[Row]

    def networks(self) -> Networks:
        """All of them."""
        encoder = train_encoder(self.setting, self.teacher, self.matter, ENCODER_RECIPE)
        start = distil.new_student(self.setting.tokenizer, self.setting.words, self.setting.seed)
        student = train_student(self.setting, start, encoder, self.matter, STUDENT_RECIPE)
        return Networks(student, phrases.train(self.setting.tokenizer, self.rows), encoder)

    @cached_property
    def matter(self) -> Matter:
        """The rows and mixed exam texts, with what teacher and specialists say."""
        said = self._with_specialists(self.setting.by_head("heard.pt", self.teacher, self.rows + self._mixed))
        on_rows, on_mixed = said.split([len(self.rows), len(self._mixed)])
        return Matter(
            self.rows,
            self._mixed,
            lessons.from_opinions(self.rows, on_rows),
            lessons.from_opinions_alone(self._mixed, on_mixed),
        )

    @cached_property
    def _exam(self) -> list[Row]:
        return [row for row in self.rows if row.source == specialist.SOURCE]

    @cached_property
    def _mixed(self) -> list[Row]:
        return distil.mixed_texts(self._exam or self.rows, MIXED_EXAM, self.setting.seed)

    def _with_specialists(self, said: Tensor) -> Tensor:
        """What is ``said`` of rows and mixed texts, with the specialists speaking for the exam head where they are asked."""
        if not self._exam:
            return said
        asked = [number for number, row in enumerate(self.rows) if row.source in specialist.ASKED]
        asked += range(len(self.rows), len(self.rows) + MIXED_EXAM)
        said = said.clone()
        said[asked, lessons.EXAM] = self._specialists([(self.rows + self._mixed)[number] for number in asked])
        return said

    def _specialists(self, texts: list[Row]) -> Tensor:
        """Their mean opinion of each text, shape [texts, 6]."""
        tokenizer, recipe = self.setting.tokenizer, SpecialistRecipe(seed=100 * self.setting.seed)

        def ask(seed: int) -> dict[str, Tensor]:
            expert = specialist.train(new_wide_model(tokenizer), tokenizer, self._exam, recipe, seed)
            return {"opinion": specialist.opinion(expert, tokenizer, texts)}

        opinion = torch.zeros(len(texts), len(LEVELS))
        identity = f"{dataclasses.asdict(recipe)} {len(self._exam)} {len(texts)}"
        for seed in range(recipe.seed, recipe.seed + recipe.count):
            opinion += kept(self.setting.work / f"specialist-{seed}.pt", identity, lambda: ask(seed))["opinion"]
        return opinion / recipe.count


def final_networks(setting: Setting, trial: Trial, networks: Networks, fresh: list[Row]) -> Networks:
    """The trial's student and phrases, and its encoder gone on with over its rows and those that are new to it, with itself as teacher."""
    on_fresh = lessons.from_opinions(fresh, setting.by_head("heard.pt", networks.encoder, fresh))
    on_fresh.repeats.mul_(FRESH_REPEATS)
    old = trial.matter
    matter = Matter(old.rows + fresh, old.mixed, lessons.both(old.on_rows, on_fresh), old.on_mixed)
    encoder = train_encoder(setting, networks.encoder, matter, FINAL_ENCODER_RECIPE)
    return Networks(networks.student, networks.phrases, encoder)


def train_encoder(setting: Setting, start: BloomModel, matter: Matter, recipe: Recipe) -> BloomModel:
    """``start`` gone on with; its exam head refitted in the end."""
    rows, taught = matter.rows + matter.mixed, lessons.both(matter.on_rows, matter.on_mixed)
    recipe = dataclasses.replace(recipe, seed=setting.seed + 10)
    encoder = copy.deepcopy(start)

    def go_on() -> dict[str, Tensor]:
        fit(encoder, setting.tokenizer, rows, taught, recipe, setting.work / "encoder-run.pt")
        refit_exam_head(encoder, predict.pooled_vectors(encoder, setting.tokenizer, rows, rough=True), taught)
        return encoder.state_dict()

    encoder.load_state_dict(kept(setting.work / "encoder.pt", f"{dataclasses.asdict(recipe)} {len(rows)}", go_on))
    return encoder.eval()


def train_student(
    setting: Setting, start: Student, encoder: BloomModel, matter: Matter, recipe: StudentRecipe
) -> Student:
    """Taught what each text's own head is taught, and what that head of ``encoder`` says of mixed texts."""
    recipe = dataclasses.replace(recipe, seed=setting.seed)
    balanced = [row for row in matter.rows for _ in range(SOURCES[row.source].repeats)]
    mixed = distil.mixed_texts(balanced, MIXED_STUDENT, setting.seed + 1)
    student = copy.deepcopy(start)

    def teach() -> dict[str, Tensor]:
        heads = torch.cat([matter.on_rows.heads, lessons.own_heads(mixed)])
        said = setting.by_head("mixed.pt", encoder, mixed)
        targets = torch.cat([matter.on_rows.targets, said])[torch.arange(len(heads)), heads]
        texts = tokenise(setting.tokenizer, matter.rows + mixed)
        repeats = torch.cat([matter.on_rows.repeats, torch.ones(len(mixed), dtype=torch.long)])
        return distil.teach(student, texts, targets, heads, repeats, recipe).state_dict()

    identity = distil.identity(recipe, len(matter.rows) + len(mixed))
    student.load_state_dict(kept(setting.work / "student.pt", identity, teach))
    return student.eval()
