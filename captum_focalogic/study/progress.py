"""How far a study is, on one line of the terminal: which image, and how long the others will take."""

import shutil
import sys
import time
from types import TracebackType

from tqdm import tqdm

_SHORTEST, _LONGEST = 8, 40
"""Letters of an image's id that are shown, its last ones, by the terminal's width: the time is told in any case."""

_SELDOM = 10.0
"""Seconds between two lines where nobody sees them replaced, as in a file."""


class Progress:
    """One line: "12 of 62, n02123045 tabby: 38 s left (1,308 evaluations/s)".

    The time that is left is that of an image of this run, on average, times those to come. It is not told before one
    is done.

    Parameters
    ----------
    total, done : int
        Images of the study, and those finished by earlier runs.
    shown : bool or str
        Whether to show anything; a text is what the line begins with.
    """

    def __init__(self, total: int, done: int, shown: bool | str) -> None:
        self.evaluations = 0
        self.errors = 0
        self._total, self._before, self._done = total, done, done
        self._ended: set[str] = set()
        self._last = ""
        self._title = shown if isinstance(shown, str) else "study"
        self._start = time.monotonic()
        seldom = 0.1 if sys.stderr.isatty() else _SELDOM
        self._line = tqdm(
            total=total, desc=self.text(), bar_format="{desc}", mininterval=seldom, miniters=0, disable=not shown
        )

    def judged(self, count: int) -> None:
        """So many more states were evaluated."""
        self.evaluations += count
        self._show()

    def ended(self, name: str) -> None:
        """The image of this id is explained, though its row may wait for others."""
        self._ended.add(name)
        self._last = name
        self._show()

    def finished(self, images: int, errors: int, name: str) -> None:
        """So many more images have their rows, some of them for errors; the last has this id."""
        self.errors += errors
        self._done += images
        self._last = name
        self._ended.clear()
        self._show()

    def text(self) -> str:
        """What the line says."""
        done = min(self._done + len(self._ended), self._total)
        seconds = max(time.monotonic() - self._start, 1e-9)
        now = done - self._before
        told = f"{self._title}: {done:,} of {self._total:,}"
        if now:
            left = f": {_duration(seconds / now * (self._total - done))} left"
            room = shutil.get_terminal_size().columns - len(f"{told}, {left} ")
            told += f", {_shortened(self._last, max(_SHORTEST, min(room, _LONGEST)))}{left}"
        if self.evaluations:
            told += f" ({self.evaluations / seconds:,.0f} evaluations/s)"
        return told + (f", {self.errors:,} error(s)" if self.errors else "")

    def _show(self) -> None:
        if not self._line.disable:
            self._line.set_description_str(self.text(), refresh=False)
            self._line.update(0)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()


def _shortened(name: str, most: int) -> str:
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _duration(seconds: float) -> str:
    """Seconds as a person says them: "38 s", "4 min", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
