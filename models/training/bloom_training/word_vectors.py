"""Vectors for search: one a word piece, distilled from the base encoder; a text's vector is their sum.

Fine-tuning bends the encoder towards levels and away from topics, so search has vectors of its own.
The recipe is that of static embeddings: encode each word piece alone, keep the principal components,
and weight frequent pieces down by the logarithm of their rank (the vocabulary is in order of frequency).
"""

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from bloom_training.base import SPECIAL_TOKENS
from bloom_training.data import Row, tokenise
from bloom_training.model import BloomModel

DIMENSIONS = 256
_BATCH = 512


@torch.no_grad()
def distil(model: BloomModel, tokenizer: Tokenizer) -> np.ndarray:
    """Weighted vectors of all word pieces by the base encoder, float32, shape [V, DIMENSIONS]; special tokens get 0."""
    size = tokenizer.get_vocab_size()
    start, end = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
    pieces = torch.arange(size)
    ids = torch.stack([torch.full((size,), start), pieces, torch.full((size,), end)], 1)
    model.eval()
    encoded = torch.cat([model.pooled(part, torch.ones_like(part, dtype=torch.bool)) for part in ids.split(_BATCH)]).numpy()
    centred = encoded.astype(np.float64) - encoded.mean(0)
    values, components = np.linalg.eigh(centred.T @ centred)
    reduced = centred @ components[:, np.argsort(values)[::-1][:DIMENSIONS]]
    weighted = reduced * np.log1p(np.arange(size))[:, None]
    weighted[[tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]] = 0.0
    return (weighted / np.abs(weighted).max()).astype(np.float32)


def text_vectors(words: np.ndarray, tokenizer: Tokenizer, rows: list[Row]) -> Tensor:
    """Sum of the vectors of each text's word pieces, shape [rows, DIMENSIONS]."""
    return torch.tensor(np.stack([words[ids].sum(0) for ids in tokenise(tokenizer, rows)]))
