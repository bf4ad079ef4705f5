"""Models whose every answer can be worked out by hand, and models that look verdicts up in a truth table."""

import os
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from captum_focalogic.masking import Example
from captum_focalogic.oracle import Forward, Memory, References, Summaries
from captum_focalogic.regions import partition_from_masks

if TYPE_CHECKING:
    from captum_focalogic.compare.decision import Decision

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


def rule_decision() -> "Decision":
    """That all of a white image is of class 1, by the rule."""
    from captum_focalogic.compare.decision import Decision
    from captum_focalogic.criteria import Top1

    model, image = Rule(), torch.ones(1, 3, 4, 4)
    return Decision(model, image, torch.zeros_like(image), LABELS.numpy(), 1, model(image), Top1())


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


class Brightest(nn.Module):
    """Which colour channel the image has most of: a model whose answers can be worked out by hand."""

    def forward(self, images: Tensor) -> Tensor:
        return images.sum(dim=(2, 3))


class Loud(Brightest):
    """What it prints must not come between the rows."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        os.write(1, b"loud\n")
        print("loud", flush=True)
        return super().forward(images)


WIDTH = 8
"""Scalars of an input; each region is a few of them."""


class Table:
    """The verdict of every region set of one example, and the example itself.

    Inputs are ones and baselines zeros, so the model can read off which regions it is shown.
    """

    def __init__(self, num_regions: int, rng: np.random.Generator, share: float = 0.5) -> None:
        self.num_regions = num_regions
        self.valid = rng.random(1 << num_regions) < share
        self.valid[-1] = True
        self.score = rng.random(1 << num_regions).astype(np.float32)
        columns = np.concatenate([np.arange(num_regions), rng.integers(0, num_regions, size=WIDTH - num_regions)])
        self.columns = rng.permutation(columns)
        partition = partition_from_masks([torch.from_numpy(3 * self.columns - 5)], [torch.Size([WIDTH])])
        self.example = Example((torch.ones(1, WIDTH),), (torch.tensor(0.0),), partition)

    def entry(self, shown: np.ndarray) -> int:
        """Index of the region set that a masked input shows."""
        kept = [set(shown[self.columns == column]) for column in range(self.num_regions)]
        assert all(values in ({0.0}, {1.0}) for values in kept), "a region is shown in part"
        return sum(1 << column for column, values in enumerate(kept) if values == {1.0})


class TableModel:
    """Answers each row from its example's table, and keeps account of who asked what.

    Parameters
    ----------
    most : int
        Calls with more rows run out of memory.
    fails : callable, optional
        Called with the number of the call, before anything is answered; may raise.
    """

    def __init__(self, tables: list[Table], most: int = 1 << 30, fails=None) -> None:
        self.tables = tables
        self.most = most
        self.fails = fails
        self.rows: list[int] = []
        self.attempts = 0
        self.mixed = 0
        self.asked: list[set[int]] = [set() for _ in tables]

    def __call__(self, x: Tensor, own: Tensor) -> Tensor:
        self.attempts += 1
        if len(x) > self.most:
            raise torch.cuda.OutOfMemoryError(f"{len(x)} rows do not fit")
        if self.fails is not None:
            self.fails(self.attempts)
        self.rows.append(len(x))
        self.mixed += len(set(own.tolist())) > 1
        return torch.stack([self.answer(row, index) for row, index in zip(x.numpy(), own.tolist(), strict=True)])

    def answer(self, row: np.ndarray, index: int) -> Tensor:
        table = self.tables[index]
        entry = table.entry(row)
        assert entry not in self.asked[index], "asked twice"
        self.asked[index].add(entry)
        return torch.tensor([float(table.valid[entry]), float(table.score[entry])])


def judge(outputs: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    return outputs[:, 0] > 0.5, outputs[:, 1]


class TableAsked:
    """What the scheduler asks about one table: no reference is asked, so that every state is asked of the model."""

    removal = "fill"

    def __init__(self, row: int, example: Example, references: References, forward: Forward) -> None:
        self.row, self.example, self.references, self.forward = row, example, references, forward
        self.criterion = self.key = judge
        self.memory = Memory(example.partition.num_regions)

    def judge(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        return judge(outputs, outputs)

    def summarise(self, outputs: Tensor) -> Summaries:
        nothing = np.zeros((len(outputs), 0))
        unknown = np.full(len(outputs), -1), np.full(len(outputs), np.nan, dtype=np.float32)
        return Summaries(*unknown, nothing.astype(np.int64), nothing.astype(np.float32))


def askable(model, tables, device="cpu") -> list[TableAsked]:
    """The tables of a model, ready to be asked."""
    forward = Forward(model, (torch.arange(len(tables), device=device),), len(tables))
    references = References(torch.zeros(len(tables), 2), None, judge)
    return [TableAsked(row, table.example, references, forward) for row, table in enumerate(tables)]


def table_model(table: np.ndarray):
    """Two classes; class 1 wins exactly for the region sets (bit j = feature j kept) where the table says so."""
    values = torch.from_numpy(table)

    def forward(x: Tensor) -> Tensor:
        index = (x > 0.5).long() @ (1 << torch.arange(x.shape[1]))
        won = values[index].float()
        return torch.stack([1 - won, won], dim=1)

    return forward


def random_table(seed: int, share: float = 0.6, num_regions: int = 5) -> np.ndarray:
    """Verdicts on all region sets, drawn; that on the whole is yes."""
    table = np.random.default_rng(seed).random(1 << num_regions) < share
    table[-1] = True
    return table
