"""The model files the Rust engine reads: config.json, tokenizer.json, model.safetensors (format 1)."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

FORMAT = 1
FILES = ("config.json", "tokenizer.json", "model.safetensors")
MATRICES = ("qkv", "attention_output", "up", "down")
_ZERO = 128
_LIMIT = 127


def quantise_rows(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rounds a matrix to 8 bits a value with one scale a row: w = (u8 - 128) * scale.

    Args:
        weight: float array, shape [rows, columns].

    Returns:
        uint8 array of the same shape with values 1..=255, and float32 scales, shape [rows].
    """
    largest = np.abs(weight).max(axis=1)
    scale = np.where(largest > 0, largest / _LIMIT, 1.0).astype(np.float32)
    steps = np.rint(weight / scale[:, None]).clip(-_LIMIT, _LIMIT)
    return (steps + _ZERO).astype(np.uint8), scale


def dequantise_rows(weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Inverse of quantise_rows, up to the rounding."""
    return (weight.astype(np.float32) - _ZERO) * scale[:, None]


def is_quantised(name: str) -> bool:
    """Whether the tensor of this name is stored in 8 bits."""
    prefix, _, last = name.rpartition(".")
    return last == "weight" and (prefix == "embeddings.word" or prefix.rpartition(".")[2] in MATRICES)


def write(folder: Path, config: dict, tokenizer: Tokenizer, tensors: dict[str, np.ndarray]) -> None:
    """Writes the three files; tensors are float arrays under the artifact's names."""
    folder.mkdir(parents=True, exist_ok=True)
    stored: dict[str, np.ndarray] = {}
    for name, value in sorted(tensors.items()):
        if is_quantised(name):
            stored[name], stored[name.removesuffix("weight") + "scale"] = quantise_rows(value)
        else:
            stored[name] = np.ascontiguousarray(value, dtype=np.float32)
    weights = folder / "model.safetensors"
    save_file(stored, weights)
    weights.chmod(0o644)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    text = json.dumps({"format": FORMAT, **config}, indent=2)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> tuple[dict, Tokenizer, dict[str, np.ndarray]]:
    """Reads the three files back, with the matrices in float again."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if name.endswith(".scale")]:
        weight = name.removesuffix("scale") + "weight"
        tensors[weight] = dequantise_rows(tensors[weight], tensors.pop(name))
    return config, Tokenizer.from_file(str(folder / "tokenizer.json")), tensors
