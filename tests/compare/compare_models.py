"""Models whose every method's answer can be worked out by hand."""

import torch
from torch import Tensor, nn

LABELS = torch.tensor([[5, 5, 7, 7], [5, 5, 7, 7], [-1, -1, 9, 9], [-1, -1, 9, 9]])
"""Four regions of equal size; columns: -1, 5, 7, 9."""


class Cells(nn.Module):
    """Class 1 by a function of the four quarters' brightness (upper left, upper right, lower left, lower right)."""

    def __init__(self, weights: tuple[float, ...] = (3.0, 2.0, 0.0, -1.0), bias: float = 0.0) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[0.0] * 4, list(weights)]))
            self.head.bias.copy_(torch.tensor([0.0, bias]))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.pool(images.mean(dim=1, keepdim=True)).flatten(1))


class Rule(nn.Module):
    """Class 1 exactly where region 5 and (7 or 9) are there: logits, no gradient worth having."""

    def forward(self, images: Tensor) -> Tensor:
        left, right, _, lower = (images.mean(1)[:, y, x] > 0.5 for y, x in ((0, 0), (0, 2), (2, 0), (2, 2)))
        holds = (left & (right | lower)).float()
        return torch.stack([1 - holds, 4 * holds], dim=1)


class Convolutional(nn.Module):
    """Two convolutions, the first of which sees what the second adds up."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.last = nn.Conv2d(4, 6, 3, padding=1)
        self.unused = nn.Conv2d(6, 6, 1)
        self.pooled = nn.Conv2d(6, 6, 1)
        self.head = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.last(torch.relu(self.first(images))))
        return self.head(self.pooled(maps.mean(dim=(2, 3), keepdim=True)).flatten(1))


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed, normed)[0]
        return tokens + self.mlp(self.norm2(tokens))


class Transformer(nn.Module):
    """A small vision transformer with a class token."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList([Block(width), Block(width)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens)[:, 0])
