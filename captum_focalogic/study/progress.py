"""How far a study is, on standard error."""

import time
from types import TracebackType

from tqdm import tqdm


class Progress:
    """A bar with images a second, evaluations a second and the time that is left.

    Parameters
    ----------
    total, done : int
        Images of the study, and those finished by earlier runs.
    shown : bool
        Whether to show anything.
    """

    def __init__(self, total: int, done: int, shown: bool) -> None:
        self.evaluations = 0
        self.errors = 0
        self._start = time.monotonic()
        # rate and time left are about this run: smoothing=0 averages over it, since groups come in bursts
        self._bar = tqdm(total=total, initial=done, unit="image", desc="study", smoothing=0, disable=not shown)

    def judged(self, count: int) -> None:
        """So many more states were evaluated."""
        self.evaluations += count
        seconds = max(time.monotonic() - self._start, 1e-9)
        self._bar.set_postfix_str(f"{self.evaluations / seconds:,.0f} evaluations/s{self._told()}", refresh=False)
        self._bar.update(0)

    def finished(self, images: int, errors: int) -> None:
        """So many more images have their rows, some of them for errors."""
        self.errors += errors
        self._bar.update(images)

    def _told(self) -> str:
        return f", {self.errors} error(s)" if self.errors else ""

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
