"""Base encoder tensors under the artifact's names."""

import numpy as np

LAYERS = 6


def from_base(base: dict[str, np.ndarray], old_ids: np.ndarray, max_tokens: int) -> dict[str, np.ndarray]:
    """Renames and folds the base encoder's tensors.

    Query, key and value become one matrix; the token-type embedding is added to the positions, which are cut to
    ``max_tokens``; the word embeddings keep the rows ``old_ids``.
    """
    position = base["embeddings.position_embeddings.weight"][:max_tokens]
    tensors = {
        "embeddings.word.weight": base["embeddings.word_embeddings.weight"][old_ids],
        "embeddings.position": position + base["embeddings.token_type_embeddings.weight"][0],
        "embeddings.norm.weight": base["embeddings.LayerNorm.weight"],
        "embeddings.norm.bias": base["embeddings.LayerNorm.bias"],
    }
    for layer in range(LAYERS):
        old, new = f"encoder.layer.{layer}", f"layers.{layer}"
        renamed = {
            "attention_output": "attention.output.dense",
            "attention_norm": "attention.output.LayerNorm",
            "up": "intermediate.dense",
            "down": "output.dense",
            "output_norm": "output.LayerNorm",
        }
        for part in ("weight", "bias"):
            rows = [base[f"{old}.attention.self.{name}.{part}"] for name in ("query", "key", "value")]
            tensors[f"{new}.qkv.{part}"] = np.concatenate(rows)
            for name, source in renamed.items():
                tensors[f"{new}.{name}.{part}"] = base[f"{old}.{source}.{part}"]
    return tensors
