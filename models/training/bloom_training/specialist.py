"""Specialists: encoders fine-tuned on the exam questions alone, whose opinion on all texts teaches the exam head.

Those questions are few and their convention is close to that of a larger, noisier source: learned together, the larger one wins.
A specialist learns the convention undisturbed; what it says about the other sources' texts is enough for the exam head, which shares its
encoder with the other heads, to learn it too.
"""

import random
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from bloom_training.data import LEVELS, Row, batches_by_length, pad, tokenise
from bloom_training.model import BloomModel, rough_products

SOURCE = "yahya2012"
ASKED = ("kaggle8k", "vmd7_extra", "aeqg2024")
"""Sources of questions whose texts the specialists give their opinion on."""


@dataclass(frozen=True)
class SpecialistRecipe:
    """How one specialist is trained.

    Attributes:
        epochs: passes over the exam questions.
        batch: texts a step.
        rate: peak learning rate of the layers; linear warm-up over 10 % of the steps, then linear decay to 0.
        head_rate: peak learning rate of the classifier.
        smoothing: share of a label that is spread over all levels.
        count: specialists whose mean opinion is used.
        seed: of the first one; the others have the next ones.
    """

    epochs: int = 8
    batch: int = 16
    rate: float = 5e-5
    head_rate: float = 1e-3
    smoothing: float = 0.1
    count: int = 1
    seed: int = 100


class Specialist(nn.Module):
    """An encoder with one classifier that chooses a single level; word embeddings stay as they are."""

    def __init__(self, encoder: BloomModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.encoder.embeddings.requires_grad_(False)
        self.classifier = nn.Linear(encoder.hidden, len(LEVELS))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits, shape [texts, 6]."""
        with rough_products():
            pooled = self.encoder.pooled(ids, mask)
        return self.classifier(self.encoder.dropout(pooled.float()))


def train(encoder: BloomModel, tokenizer: Tokenizer, rows: list[Row], recipe: SpecialistRecipe, seed: int) -> Specialist:
    """A specialist on ``rows``, begun from ``encoder`` (which it changes)."""
    torch.manual_seed(seed)
    specialist = Specialist(encoder)
    texts, targets = tokenise(tokenizer, rows), torch.tensor([row.target.argmax() for row in rows])
    batches = _batches([len(text) for text in texts], recipe, seed)
    layers = [value for name, value in encoder.named_parameters() if name.startswith("layers.")]
    groups = [{"params": layers, "lr": recipe.rate}, {"params": specialist.classifier.parameters(), "lr": recipe.head_rate}]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
    warm_up = 0.1 * len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / warm_up) * (len(batches) - step) / len(batches)
    )
    specialist.train()
    for batch in tqdm(batches, unit="step", mininterval=5, desc=f"specialist {seed}"):
        logits = specialist(*pad([texts[index] for index in batch]))
        loss = F.cross_entropy(logits, targets[batch], label_smoothing=recipe.smoothing)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(specialist.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return specialist.eval()


@torch.no_grad()
def opinion(specialist: Specialist, tokenizer: Tokenizer, rows: list[Row]) -> Tensor:
    """Probabilities of the levels (summing to 1), shape [rows, 6]."""
    texts = tokenise(tokenizer, rows)
    probabilities = torch.empty(len(rows), len(LEVELS))
    for batch in batches_by_length(texts):
        probabilities[batch] = torch.softmax(specialist(*pad([texts[index] for index in batch])), 1)
    return probabilities


def _batches(lengths: list[int], recipe: SpecialistRecipe, seed: int) -> list[list[int]]:
    chance = random.Random(seed)
    batches = []
    for _ in range(recipe.epochs):
        order = list(range(len(lengths)))
        chance.shuffle(order)
        for start in range(0, len(order), 8 * recipe.batch):
            window = sorted(order[start : start + 8 * recipe.batch], key=lengths.__getitem__)
            batches += [window[at : at + recipe.batch] for at in range(0, len(window), recipe.batch)]
    return batches
