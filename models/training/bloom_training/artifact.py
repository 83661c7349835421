"""The model files the Rust engine reads (format 3, see FORMAT.md)."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

FORMAT = 3
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
ENCODER = "model.safetensors"
STUDENT = "student.safetensors"
WORDS = "words.safetensors"
FILES = (CONFIG, TOKENIZER, STUDENT, ENCODER, WORDS)
ROUNDED = {
    ENCODER: ("word", "qkv", "attention_output", "up", "down"),
    STUDENT: ("embeddings", "convolution", "hidden", "output", "route", "phrases"),
    WORDS: ("words",),
}
"""Matrices that each file stores in 8 bits, by the last part of the name before ``.weight``."""
_ZERO = 128
_LIMIT = 127

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Artifact:
    """A model's files, with all matrices in float.

    Attributes:
        config: what config.json says, without ``format``.
        tokenizer: over the kept vocabulary.
        tensors: by file name, then by tensor name.
    """

    config: dict
    tokenizer: Tokenizer
    tensors: dict[str, Tensors]


def quantise_rows(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rounds a matrix to 8 bits a value with one scale a row: w = (u8 - 128) * scale.

    Args:
        weight: float array, shape [rows, columns].

    Returns:
        uint8 array of the same shape with values 1..=255, and float32 scales, shape [rows].
    """
    largest = np.abs(weight).max(axis=1, initial=0)
    scale = np.where(largest > 0, largest / _LIMIT, 1.0).astype(np.float32)
    steps = np.rint(weight / scale[:, None]).clip(-_LIMIT, _LIMIT)
    return (steps + _ZERO).astype(np.uint8), scale


def dequantise_rows(weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Inverse of quantise_rows, up to the rounding."""
    return (weight.astype(np.float32) - _ZERO) * scale[:, None]


def write(folder: Path, artifact: Artifact) -> None:
    """Writes the five files."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, tensors in artifact.tensors.items():
        _write_tensors(folder / file, tensors, ROUNDED[file])
    artifact.tokenizer.save(str(folder / TOKENIZER), pretty=False)
    text = json.dumps({"format": FORMAT, **artifact.config}, indent=2)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> Artifact:
    """Reads the files back, with the weights as rounded.

    Raises:
        ValueError: the files are of another format.
    """
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if config.pop("format") != FORMAT:
        raise ValueError(f"{folder}: not a model of format {FORMAT}")
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    return Artifact(config, tokenizer, {file: read_tensors(folder / file) for file in ROUNDED})


def read_tensors(path: Path) -> Tensors:
    """Tensors of one file, those stored in 8 bits in float again."""
    tensors = load_file(path)
    for name in [name for name in tensors if name.endswith(".scale")]:
        weight = name.removesuffix("scale") + "weight"
        tensors[weight] = dequantise_rows(tensors[weight], tensors.pop(name))
    return tensors


def _write_tensors(path: Path, tensors: Tensors, rounded: tuple[str, ...]) -> None:
    stored: Tensors = {}
    for name, value in sorted(tensors.items()):
        prefix, _, last = name.rpartition(".")
        if last == "weight" and prefix.rpartition(".")[2] in rounded:
            stored[name], stored[f"{prefix}.scale"] = quantise_rows(value)
        elif value.dtype == np.uint32:
            stored[name] = value
        else:
            stored[name] = np.ascontiguousarray(value, dtype=np.float32)
    save_file(stored, path)
    path.chmod(0o644)
