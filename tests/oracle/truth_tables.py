"""Models that look verdicts up in a truth table."""

import numpy as np
import torch
from torch import Tensor

from captum_focalogic.masking import Example
from captum_focalogic.oracle import Forward, Memory, References, Summaries
from captum_focalogic.regions import partition_from_masks

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
