"""Encoders with one linear head per labelling convention: MiniLM, which is what is shipped, and MPNet, which teaches it.

Parameters carry the artifact's tensor names, so that ``state_dict`` is what is exported.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    """Sizes of an encoder."""

    layers: int
    hidden: int
    intermediate: int
    attention_heads: int
    layer_norm_eps: float


MINILM = Shape(6, 384, 1536, 12, 1e-12)
MPNET = Shape(12, 768, 3072, 12, 1e-5)
_CPU_FLAGS = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("flags")[2].partition("\n")[0].split()
_HAS_BFLOAT16 = not {"avx512_bf16", "amx_bf16"}.isdisjoint(_CPU_FLAGS)
_BUCKETS = 32
_FARTHEST = 128


def rough_products(wanted: bool = True) -> torch.autocast:
    """Matrix products within it are in bfloat16 if ``wanted``. That halves the time on a CPU that has it; another takes ten times as long
    and so stays with float32."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=wanted and _HAS_BFLOAT16)


class Dropout(nn.Module):
    """Dropout by one random byte a value; torch's own draws take a tenth of the time of training."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.dropped = round(256 * share)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.dropped:
            return x
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.dropped
        return x * (kept.to(x.dtype) * (256 / (256 - self.dropped)))


class Embeddings(nn.Module):
    """Word plus position, normalised."""

    def __init__(self, vocabulary: int, max_tokens: int, shape: Shape) -> None:
        super().__init__()
        self.word = nn.Embedding(vocabulary, shape.hidden)
        self.position = nn.Parameter(torch.zeros(max_tokens, shape.hidden))
        self.norm = nn.LayerNorm(shape.hidden, eps=shape.layer_norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        return self.norm(self.word(ids) + self.position[: ids.shape[1]])


class Layer(nn.Module):
    """One post-norm transformer layer; ``mask`` is added to the scores of attention."""

    def __init__(self, dropout: float, shape: Shape) -> None:
        super().__init__()
        hidden, eps = shape.hidden, shape.layer_norm_eps
        self.attention_heads = shape.attention_heads
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.attention_output = nn.Linear(hidden, hidden)
        self.attention_norm = nn.LayerNorm(hidden, eps=eps)
        self.up = nn.Linear(hidden, shape.intermediate)
        self.down = nn.Linear(shape.intermediate, hidden)
        self.output_norm = nn.LayerNorm(hidden, eps=eps)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, tokens, hidden = x.shape
        split = self.qkv(x).view(batch, tokens, 3, self.attention_heads, hidden // self.attention_heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        scores = (query @ key.transpose(-1, -2)).float() / math.sqrt(query.shape[-1]) + mask
        attended = torch.softmax(scores, -1).to(value.dtype) @ value
        attended = self.attention_output(attended.transpose(1, 2).reshape(batch, tokens, hidden))
        x = self.attention_norm(x + self.dropout(attended))
        return self.output_norm(x + self.dropout(self.down(F.gelu(self.up(x)))))


class Heads(nn.Module):
    """``count`` linear classifiers over the six levels."""

    def __init__(self, count: int, levels: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(count, levels, hidden))
        self.bias = nn.Parameter(torch.zeros(count, levels))

    def forward(self, pooled: Tensor) -> Tensor:
        """Logits, shape [batch, count, levels]."""
        return torch.einsum("bd,hld->bhl", pooled, self.weight) + self.bias


class BloomModel(nn.Module):
    """Encoder and heads."""

    def __init__(
        self, vocabulary: int, max_tokens: int, heads: int, levels: int, dropout: float = 0.1, shape: Shape = MINILM
    ) -> None:
        super().__init__()
        self.hidden = shape.hidden
        self.embeddings = Embeddings(vocabulary, max_tokens, shape)
        self.layers = nn.ModuleList(Layer(dropout, shape) for _ in range(shape.layers))
        self.heads = Heads(heads, levels, shape.hidden)
        self.dropout = Dropout(dropout)

    def pooled(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Mean of the last layer over each text's own tokens, shape [batch, hidden]."""
        x = self.dropout(self.embeddings(ids))
        attended = self.attended(mask)
        for layer in self.layers:
            x = layer(x, attended)
        weights = mask[..., None].to(x.dtype)
        return (x * weights).sum(1) / weights.sum(1)

    def attended(self, mask: Tensor) -> Tensor:
        """What is added to the scores of every layer's attention, shape [batch, 1 or attention heads, 1 or tokens, tokens]."""
        return torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)[:, None, None, :]

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Head logits, shape [batch, heads, levels], by rough products."""
        with rough_products():
            pooled = self.pooled(ids, mask)
        return self.heads(self.dropout(pooled.float()))


class WideModel(BloomModel):
    """MPNet and heads; its attention knows how far apart two tokens are. That knowledge is not tuned."""

    def __init__(self, vocabulary: int, max_tokens: int, heads: int, levels: int) -> None:
        super().__init__(vocabulary, max_tokens, heads, levels, shape=MPNET)
        self.register_buffer("distance", torch.zeros(_BUCKETS, MPNET.attention_heads))

    def attended(self, mask: Tensor) -> Tensor:
        """As for any model, and the bias by distance."""
        places = torch.arange(mask.shape[1])
        bias = self.distance[_bucket(places[None, :] - places[:, None])].permute(2, 0, 1)
        return bias + super().attended(mask)


def _bucket(offset: Tensor) -> Tensor:
    """Number of each distance of tokens: single ones near by, by their logarithm farther off; those ahead after those behind."""
    half = _BUCKETS // 2
    exact = half // 2
    far = offset.abs().clamp(min=1)
    wide = exact + (torch.log(far / exact) / math.log(_FARTHEST / exact) * (half - exact)).long()
    return (offset > 0) * half + torch.where(offset.abs() < exact, offset.abs(), wide.clamp(max=half - 1))
