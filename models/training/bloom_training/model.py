"""The encoder: MiniLM with one linear head per labelling convention.

Parameters carry the artifact's tensor names, so that ``state_dict`` is what is exported.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bloom_training.layout import LAYERS

HIDDEN = 384
INTERMEDIATE = 1536
ATTENTION_HEADS = 12
LAYER_NORM_EPS = 1e-12


class Embeddings(nn.Module):
    """Word plus position, normalised."""

    def __init__(self, vocabulary: int, max_tokens: int) -> None:
        super().__init__()
        self.word = nn.Embedding(vocabulary, HIDDEN)
        self.position = nn.Parameter(torch.zeros(max_tokens, HIDDEN))
        self.norm = nn.LayerNorm(HIDDEN, eps=LAYER_NORM_EPS)

    def forward(self, ids: Tensor) -> Tensor:
        return self.norm(self.word(ids) + self.position[: ids.shape[1]])


class Layer(nn.Module):
    """One post-norm transformer layer; ``mask`` is true where a token may be attended to."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.qkv = nn.Linear(HIDDEN, 3 * HIDDEN)
        self.attention_output = nn.Linear(HIDDEN, HIDDEN)
        self.attention_norm = nn.LayerNorm(HIDDEN, eps=LAYER_NORM_EPS)
        self.up = nn.Linear(HIDDEN, INTERMEDIATE)
        self.down = nn.Linear(INTERMEDIATE, HIDDEN)
        self.output_norm = nn.LayerNorm(HIDDEN, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        split = self.qkv(x).view(batch, tokens, 3, ATTENTION_HEADS, HIDDEN // ATTENTION_HEADS)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        attended = self.attention_output(attended.transpose(1, 2).reshape(batch, tokens, HIDDEN))
        x = self.attention_norm(x + self.dropout(attended))
        return self.output_norm(x + self.dropout(self.down(F.gelu(self.up(x)))))


class Heads(nn.Module):
    """``count`` linear classifiers over the six levels."""

    def __init__(self, count: int, levels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(count, levels, HIDDEN))
        self.bias = nn.Parameter(torch.zeros(count, levels))

    def forward(self, pooled: Tensor) -> Tensor:
        """Logits, shape [batch, count, levels]."""
        return torch.einsum("bd,hld->bhl", pooled, self.weight) + self.bias


class BloomModel(nn.Module):
    """Encoder and heads."""

    def __init__(self, vocabulary: int, max_tokens: int, heads: int, levels: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.embeddings = Embeddings(vocabulary, max_tokens)
        self.layers = nn.ModuleList(Layer(dropout) for _ in range(LAYERS))
        self.heads = Heads(heads, levels)
        self.dropout = nn.Dropout(dropout)

    def pooled(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Mean of the last layer over each text's own tokens, shape [batch, HIDDEN]."""
        x = self.dropout(self.embeddings(ids))
        for layer in self.layers:
            x = layer(x, mask)
        weights = mask[..., None].to(x.dtype)
        return (x * weights).sum(1) / weights.sum(1)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Head logits, shape [batch, heads, levels]. The matrix products are in bfloat16, which halves the time of training."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            pooled = self.pooled(ids, mask)
        return self.heads(self.dropout(pooled.float()))
