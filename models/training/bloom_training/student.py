"""The student: a convolution over word-piece vectors that answers the easy texts so that the encoder need not read them.

For the others it says which labelling convention a text looks like: single words betray it better than what a sentence means.

Parameters carry the artifact's tensor names.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bloom_training.data import LEVELS
from bloom_training.lessons import HEADS

DIMENSIONS = 128
FILTERS = 256
WIDTH = 3
HIDDEN = 256


class Student(nn.Module):
    """Mean and strongest convolution responses of a text's word pieces, then one hidden layer.

    The design is that of Kim, "Convolutional neural networks for sentence classification", 2014, with a weighted mean beside
    the maxima.
    """

    def __init__(self, vocabulary: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(vocabulary, DIMENSIONS)
        self.importance = nn.Parameter(torch.zeros(vocabulary))
        self.convolution = nn.Linear(WIDTH * DIMENSIONS, FILTERS)
        self.norm = nn.LayerNorm(DIMENSIONS + FILTERS)
        self.hidden = nn.Linear(DIMENSIONS + FILTERS, HIDDEN)
        self.output = nn.Linear(HIDDEN, len(LEVELS))
        self.route = nn.Linear(HIDDEN, len(HEADS))
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the levels [texts, 6] and of the conventions [texts, heads]; ``mask`` is true on a text's own tokens."""
        pieces = self.dropout(self.embeddings(ids)) * mask[..., None]
        weights = torch.exp(self.importance[ids]) * mask
        mean = (pieces * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
        reach = WIDTH // 2
        windows = F.pad(pieces, (0, 0, reach, reach)).unfold(1, WIDTH, 1).transpose(2, 3).flatten(2)
        responses = F.relu(self.convolution(windows)) * mask[..., None]
        features = self.norm(torch.cat([mean, responses.amax(1)], 1))
        hidden = self.dropout(F.relu(self.hidden(self.dropout(features))))
        return self.output(hidden), self.route(hidden)
