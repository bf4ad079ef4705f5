"""Who works through the groups of a study: this process, or workers that Ray starts."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from captum_focalogic.errors import InputError
from captum_focalogic.study.explainer import Explainer, OnJudged, Prepared
from captum_focalogic.study.plan import Group, Plan
from captum_focalogic.study.rows import Row


class Engine(Protocol):
    """Explains groups of images, in whatever order and place."""

    def run(self, plan: Plan, groups: Sequence[Group], on_judged: OnJudged) -> Iterator[list[Row]]:
        """Yield the rows of each group as soon as they are known; tell how many states were judged."""
        ...


@dataclass(frozen=True)
class Local:
    """This process: one model, whose batches are filled from all images of a group.

    Attributes
    ----------
    loaders : int
        Threads that read and cut the next images in the meantime; 0 for none.
    ahead : int
        Groups to have ready.
    """

    loaders: int = 2
    ahead: int = 2

    def __post_init__(self) -> None:
        if self.loaders < 0 or self.ahead < 1:
            raise InputError(
                f"loaders must not be negative, and ahead at least 1; got loaders={self.loaders}, ahead={self.ahead}"
            )

    def run(self, plan: Plan, groups: Sequence[Group], on_judged: OnJudged) -> Iterator[list[Row]]:
        """See :meth:`Engine.run`."""
        explainer = Explainer(plan)
        for prepared in self._prepared(explainer, groups):
            yield explainer.rows(prepared, on_judged)

    def _prepared(self, explainer: Explainer, groups: Sequence[Group]) -> Iterator[list[Prepared | Row]]:
        if not self.loaders:
            yield from ([explainer.prepare(index, item) for index, item in group] for group in groups)
            return
        pool = ThreadPoolExecutor(self.loaders, thread_name_prefix="loader")
        try:
            ready: deque[list[Future[Prepared | Row]]] = deque()
            for group in groups:
                ready.append([pool.submit(explainer.prepare, index, item) for index, item in group])
                if len(ready) > self.ahead:
                    yield [image.result() for image in ready.popleft()]
            while ready:
                yield [image.result() for image in ready.popleft()]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
