"""Fine-tuning of the encoder: recipe, what each head is taught, and a loop that can be stopped and taken up again."""

import dataclasses
import math
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from bloom_training import base, layout, stages
from bloom_training.data import LEVELS, Row, epoch_batches, pad, tokenise
from bloom_training.lessons import HEADS, Lessons
from bloom_training.model import BloomModel, WideModel

CHECKPOINT_STEPS = 200


@dataclass(frozen=True)
class Recipe:
    """What is tuned.

    Attributes:
        epochs: passes over the rows, each row as often as its lesson repeats.
        batch: texts a step.
        rate: peak learning rate of the last layer; linear warm-up over 6 % of the steps, then linear decay to 0.
        rate_decay: factor of the rate from each layer to the one below it. Word embeddings stay as they are.
        frozen_layers: lowest layers that stay as they are, with the embeddings, if there are any.
        head_rate: peak learning rate of the heads.
        average: decay of the running average of the weights, which is what is kept.
        seed: of batches and dropout.
    """

    epochs: float = 3
    batch: int = 32
    rate: float = 2e-4
    rate_decay: float = 0.85
    frozen_layers: int = 0
    head_rate: float = 1e-3
    average: float = 0.998
    seed: int = 1


def new_model(tokenizer: Tokenizer, old_ids: np.ndarray) -> BloomModel:
    """MiniLM with heads at zero."""
    model = BloomModel(tokenizer.get_vocab_size(), base.MAX_TOKENS, len(HEADS), len(LEVELS))
    return _begun(model, layout.from_minilm(base.minilm_weights(), old_ids, base.MAX_TOKENS))


def new_wide_model(tokenizer: Tokenizer) -> WideModel:
    """MPNet with heads at zero."""
    model = WideModel(tokenizer.get_vocab_size(), base.MAX_TOKENS, len(HEADS), len(LEVELS))
    return _begun(model, layout.from_mpnet(*base.mpnet(tokenizer), base.MAX_TOKENS))


def _begun(model: BloomModel, tensors: dict[str, np.ndarray]) -> BloomModel:
    missing, unknown = model.load_state_dict({k: torch.tensor(v) for k, v in tensors.items()}, strict=False)
    if unknown or {name.partition(".")[0] for name in missing} != {"heads"}:
        raise ValueError(f"base encoder does not fit: missing {missing}, unknown {unknown}")
    return model


def fit(
    model: BloomModel, tokenizer: Tokenizer, rows: list[Row], lessons: Lessons, recipe: Recipe, checkpoint: Path
) -> BloomModel:
    """Trains in place and returns the model with averaged weights.

    A checkpoint of the same recipe and number of rows at ``checkpoint`` is taken up where it stopped.
    """
    random.seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    texts = tokenise(tokenizer, rows)
    lengths = [len(text) for text in texts]
    repeats = lessons.repeats.tolist()
    epochs = [
        epoch_batches(repeats, lengths, recipe.batch, recipe.seed * 1000 + epoch) for epoch in range(math.ceil(recipe.epochs))
    ]
    batches = sum(epochs, [])[: round(recipe.epochs * len(epochs[0]))]
    run = _Run(model, recipe, len(batches), identity=f"{dataclasses.asdict(recipe)} {len(rows)}")
    run.resume(checkpoint)
    model.train()
    progress = tqdm(total=len(batches), initial=run.step, unit="step", mininterval=5)
    while run.step < len(batches):
        batch = batches[run.step]
        ids, mask = pad([texts[index] for index in batch])
        loss = _loss(model(ids, mask), lessons, batch)
        run.advance(loss)
        progress.update()
        progress.set_postfix(loss=f"{run.smooth_loss:.3f}", refresh=False)
        if run.step % CHECKPOINT_STEPS == 0 or run.step == len(batches):
            run.save(checkpoint)
    progress.close()
    model.load_state_dict(run.average, strict=False)
    return model.eval()


def _loss(head_logits: Tensor, lessons: Lessons, batch: list[int]) -> Tensor:
    """Cross-entropy of the heads with what they are taught."""
    entropy = F.binary_cross_entropy_with_logits(head_logits, lessons.targets[batch], reduction="none").sum(2)
    return (lessons.weights[batch] * entropy).sum(1).mean()


def _parameter_groups(model: BloomModel, recipe: Recipe) -> list[dict]:
    """Rates fall with depth; no weight decay on biases and norms; word embeddings are frozen."""
    model.embeddings.word.weight.requires_grad_(False)
    if recipe.frozen_layers:
        model.embeddings.requires_grad_(False)
        model.layers[: recipe.frozen_layers].requires_grad_(False)
    depth_rate = {"embeddings": recipe.rate * recipe.rate_decay ** len(model.layers)}
    for layer in range(len(model.layers)):
        depth_rate[f"layers.{layer}"] = recipe.rate * recipe.rate_decay ** (len(model.layers) - 1 - layer)
    groups = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parts = name.split(".")
            part = ".".join(parts[:2]) if parts[0] == "layers" else parts[0]
            decay = 0.01 if parameter.ndim > 1 else 0.0
            groups.append({"params": [parameter], "lr": depth_rate.get(part, recipe.head_rate), "weight_decay": decay})
    return groups


class _Run:
    """Optimiser, schedule, averaged weights and position of one training run."""

    def __init__(self, model: BloomModel, recipe: Recipe, steps: int, identity: str) -> None:
        self.model = model
        self.recipe = recipe
        self.identity = identity
        self.step = 0
        self.smooth_loss = 0.0
        self.optimiser = torch.optim.AdamW(_parameter_groups(model, recipe), fused=True)
        warm_up = 0.06 * steps + 1
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: min(1.0, (step + 1) / warm_up) * max(0.0, (steps - step) / steps)
        )
        self.trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self.average = {name: value.detach().clone() for name, value in self.trained.items()}

    def advance(self, loss: Tensor) -> None:
        """One optimiser step, and one of the running average."""
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained.values(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        decay = min(self.recipe.average, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.values()), list(self.trained.values()), 1 - decay)
        self.smooth_loss += (loss.item() - self.smooth_loss) * max(0.01, 1 / self.step)

    def save(self, path: Path) -> None:
        """Writes a checkpoint; an interrupted write leaves the former one whole."""
        state = {
            "identity": self.identity,
            "step": self.step,
            "smooth_loss": self.smooth_loss,
            "trained": {name: value.detach() for name, value in self.trained.items()},
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "chance": torch.get_rng_state(),
        }
        stages.write(path, state)

    def resume(self, path: Path) -> None:
        """Takes up the checkpoint at ``path`` if there is one.

        Raises:
            ValueError: it belongs to another recipe or other rows.
        """
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        if state["identity"] != self.identity:
            raise ValueError(f"{path} is of another run ({state['identity']}); remove it or choose another --work")
        self.step, self.smooth_loss = state["step"], state["smooth_loss"]
        self.model.load_state_dict(state["trained"], strict=False)
        self.average = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["chance"])
