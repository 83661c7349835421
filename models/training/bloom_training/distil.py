"""Teaching the student: what the heads are taught about the training texts, what the encoder says about new texts made of
their pieces, and which convention a text follows."""

import dataclasses
import random
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from bloom_training.base import SPECIAL_TOKENS
from bloom_training.data import Row, epoch_batches, pad
from bloom_training.student import DIMENSIONS, Student


@dataclass(frozen=True)
class StudentRecipe:
    """How the student is taught.

    Attributes:
        epochs: passes over the texts.
        batch: texts a step.
        rate: peak learning rate; linear warm-up over 100 steps, then linear decay to 0.
        route_weight: weight of the loss of the route.
        route_balance: a convention of n texts counts n to the power of 1 less this; 1 would make all equal.
        seed: of texts, batches and dropout.
    """

    epochs: int = 7
    batch: int = 64
    rate: float = 1e-3
    route_weight: float = 0.5
    route_balance: float = 0.75
    seed: int = 1


def mixed_texts(rows: list[Row], count: int, seed: int) -> list[Row]:
    """Texts that begin with the first words of one row and go on with the rest of another of its source; without labels.

    The first words (the verb, mostly) and the matter are told apart best by seeing them in other company.
    """
    chance = random.Random(seed)
    by_source = {source: [row for row in rows if row.source == source] for source in {row.source for row in rows}}
    mixed = []
    for number in range(count):
        first = chance.choice(rows)
        head, tail = first.text.split(), chance.choice(by_source[first.source]).text.split()
        cut = chance.randint(1, 3)
        mixed.append(Row(" ".join(head[:cut] + tail[chance.randint(1, 3) :]), (), first.source, -number - 1))
    return mixed


def new_student(tokenizer: Tokenizer, words: np.ndarray, seed: int) -> Student:
    """A student whose word-piece vectors begin as the leading components of the search vectors.

    Args:
        tokenizer: of the model.
        words: search vectors, shape [V, at least DIMENSIONS], columns by falling variance.
        seed: of all other weights.
    """
    torch.manual_seed(seed)
    student = Student(len(words))
    start = torch.tensor(words[:, :DIMENSIONS])
    start = start / start.norm(dim=1).mean()
    special = [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]
    start[special] = torch.randn(len(special), DIMENSIONS) / DIMENSIONS**0.5
    student.embeddings.weight.data = start
    return student


def teach(
    student: Student, texts: list[list[int]], targets: Tensor, conventions: Tensor, repeats: Tensor, recipe: StudentRecipe
) -> Student:
    """Trains in place.

    Args:
        student: to train.
        texts: token ids of each text.
        targets: probabilities of the levels, shape [texts, 6].
        conventions: the head of each text's source, shape [texts].
        repeats: times a text is seen in one epoch, shape [texts].
        recipe: how.
    """
    torch.manual_seed(recipe.seed)
    lengths = [len(text) for text in texts]
    batches = [
        batch
        for epoch in range(recipe.epochs)
        for batch in epoch_batches(repeats.tolist(), lengths, recipe.batch, recipe.seed * 1000 + epoch)
    ]
    weights = _balance(conventions, recipe.route_balance) * recipe.route_weight
    optimiser, schedule = _optimiser(student, recipe, len(batches))
    student.train()
    for batch in tqdm(batches, unit="step", mininterval=5, desc="student"):
        levels, route = student(*pad([texts[index] for index in batch]))
        told = F.binary_cross_entropy_with_logits(levels, targets[batch], reduction="none").sum(1)
        led = F.cross_entropy(route, conventions[batch], reduction="none")
        loss = (told + weights[batch] * led).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return student.eval()


def _balance(conventions: Tensor, power: float) -> Tensor:
    """Weights of mean 1 over the texts, falling with the number of texts that share their convention."""
    weights = torch.bincount(conventions).clamp(min=1).float().pow(-power)[conventions]
    return weights / weights.mean()


def _optimiser(
    student: Student, recipe: StudentRecipe, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    vectors = ("embeddings.weight", "importance")
    named = dict(student.named_parameters())
    groups = [
        {"params": [named[name] for name in vectors], "weight_decay": 0.0},
        {"params": [value for name, value in named.items() if name not in vectors], "weight_decay": 0.01},
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 100) * (steps - step) / steps
    )
    return optimiser, schedule


def identity(recipe: StudentRecipe, texts: int) -> str:
    """Tells one run of ``teach`` from another."""
    return f"{dataclasses.asdict(recipe)} {texts}"
