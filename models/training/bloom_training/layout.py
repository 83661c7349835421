"""Base encoders' tensors under the artifact's names."""

import numpy as np

from bloom_training.model import MINILM, MPNET


def from_minilm(base: dict[str, np.ndarray], old_ids: np.ndarray, max_tokens: int) -> dict[str, np.ndarray]:
    """Renames and folds the base encoder's tensors.

    Query, key and value become one matrix; the token-type embedding is added to the positions, which are cut to
    ``max_tokens``; the word embeddings keep the rows ``old_ids``.
    """
    position = base["embeddings.position_embeddings.weight"][:max_tokens]
    tensors = {
        "embeddings.word.weight": base["embeddings.word_embeddings.weight"][old_ids],
        "embeddings.position": position + base["embeddings.token_type_embeddings.weight"][0],
        **_norm(base),
    }
    parts = ("attention.self.query", "attention.self.key", "attention.self.value")
    renamed = {"attention_output": "attention.output.dense", "attention_norm": "attention.output.LayerNorm", **_OUTPUT}
    return tensors | _layers(base, MINILM.layers, parts, renamed)


def from_mpnet(base: dict[str, np.ndarray], old_ids: np.ndarray, max_tokens: int) -> dict[str, np.ndarray]:
    """The same of MPNet, whose positions begin with two that are not used and which has no token types."""
    tensors = {
        "embeddings.word.weight": base["embeddings.word_embeddings.weight"][old_ids],
        "embeddings.position": base["embeddings.position_embeddings.weight"][2 : 2 + max_tokens],
        "distance": base["encoder.relative_attention_bias.weight"],
        **_norm(base),
    }
    parts = ("attention.attn.q", "attention.attn.k", "attention.attn.v")
    renamed = {"attention_output": "attention.attn.o", "attention_norm": "attention.LayerNorm", **_OUTPUT}
    return tensors | _layers(base, MPNET.layers, parts, renamed)


_OUTPUT = {"up": "intermediate.dense", "down": "output.dense", "output_norm": "output.LayerNorm"}


def _norm(base: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"embeddings.norm.{part}": base[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias")}


def _layers(
    base: dict[str, np.ndarray], count: int, qkv: tuple[str, ...], renamed: dict[str, str]
) -> dict[str, np.ndarray]:
    tensors = {}
    for layer in range(count):
        old, new = f"encoder.layer.{layer}", f"layers.{layer}"
        for part in ("weight", "bias"):
            tensors[f"{new}.qkv.{part}"] = np.concatenate([base[f"{old}.{name}.{part}"] for name in qkv])
            for name, source in renamed.items():
                tensors[f"{new}.{name}.{part}"] = base[f"{old}.{source}.{part}"]
    return tensors
