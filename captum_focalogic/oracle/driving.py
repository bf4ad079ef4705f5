"""Searches and other askers put to models to the end, all together."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from captum_focalogic.masking import Masker
from captum_focalogic.oracle.batching import Batching
from captum_focalogic.oracle.scheduler import Asked, Asker, Job, Scheduler
from captum_focalogic.search import Run, SearchResult, Strategy
from captum_focalogic.search import states as st
from captum_focalogic.search.critical import Questions
from captum_focalogic.search.run import Verdicts
from captum_focalogic.search.states import Packed


class Driven(Asked, Protocol):
    """What is driven: :class:`captum_focalogic.masked_model.MaskedModel`."""

    batching: Batching
    masker: Masker

    @property
    def num_regions(self) -> int:
        """M."""
        ...

    @property
    def areas(self) -> NDArray[np.float64]:
        """Share of the example's elements in each region, (M,)."""
        ...


def listed(packed: Packed) -> Questions[Verdicts]:
    """The questions of somebody who wants to know about given states."""
    verdicts = yield packed
    return verdicts


@torch.no_grad()
def drive(pairs: Sequence[tuple[Driven, Asker]], on_judged: Callable[[int], object] = lambda _: None) -> None:
    """Let askers ask their models to the end, all together in full batches.

    A keyboard interrupt stops all askers with what they have. Models of several calls may be mixed; a batch holds those
    of one.

    Parameters
    ----------
    pairs : sequence of (MaskedModel, Asker)
        Whom each asker asks.
    on_judged : callable
        Told how many states the model was asked about, batch by batch.
    """
    if not pairs:
        return
    first = pairs[0][0]
    device = first.example.inputs[0].device
    jobs = [Job(model, asker) for model, asker in pairs]
    Scheduler(first.batching, device, on_judged, first.masker).drive(jobs)
    for references in {id(model.references): model.references for model, _ in pairs}.values():
        references.warn_of_nan()


def search(
    models: Sequence[Driven],
    strategy_for: Callable[[int, int | None], Strategy],
    max_evaluations: int | Sequence[int | None] | None = None,
    time_limit: float | None = None,
    on_judged: Callable[[int], object] = lambda _: None,
    on_finished: Callable[[int], object] = lambda _: None,
) -> list[SearchResult]:
    """Search all models at once.

    Parameters
    ----------
    models : sequence of MaskedModel
        Each is searched for its final states.
    strategy_for : callable
        Number of regions and evaluations to strategy.
    max_evaluations, time_limit
        As for :func:`captum_focalogic.search.enumerate_final_states`: the first for each model, or one for each in a
        sequence; the second for all.
    on_judged : callable
        Told how many states were asked.
    on_finished : callable
        Told the place of each model whose search has ended.
    """
    runs: list[Run] = []
    each = max_evaluations if isinstance(max_evaluations, Sequence) else [max_evaluations] * len(models)
    for model, budget in zip(models, each, strict=True):
        valid, score = model.memory.verdicts(model.key, st.full(model.num_regions))
        runs.append(
            Run(
                strategy_for(model.num_regions, budget),
                model.num_regions,
                areas=model.areas,
                max_evaluations=budget,
                time_limit=time_limit,
                start=(bool(valid[0]), float(score[0])),
            )
        )
    searching = set(range(len(runs)))

    def judged(count: int) -> None:
        on_judged(count)
        for place in [place for place in searching if runs[place].finished]:
            searching.remove(place)
            on_finished(place)

    judged(len(models))
    drive(list(zip(models, runs, strict=True)), judged)
    return [run.result() for run in runs]
