"""The line that says how far a study is: which image, and how long the others will take."""

from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from studies import GRID, patch_items
from tiny_models import Brightest

from captum_focalogic.study import progress, run_study
from captum_focalogic.study.progress import Progress


class Clock:
    """A clock that goes only where it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(progress, "time", made)
    return made


def test_the_line_tells_the_image_and_the_time_that_is_left(clock: Clock) -> None:
    with Progress(62, 0, False) as line:
        assert line.text() == "study: 0 of 62"
        clock.now += 2
        line.judged(300)
        assert line.text() == "study: 0 of 62 (150 evaluations/s)", "no image is done, so nothing is known of the time"
        clock.now += 10
        for number in range(11):
            line.ended(f"image {number}")
        line.ended("n02123045 tabby")
        assert line.text() == "study: 12 of 62, n02123045 tabby: 50 s left (25 evaluations/s)"
        line.finished(12, 2, "n02123045 tabby")
        assert line.text().startswith("study: 12 of 62, "), "their rows are those of the same images"
        assert line.text().endswith(", 2 error(s)")


def test_images_of_earlier_runs_say_nothing_about_the_time(clock: Clock) -> None:
    with Progress(100, 90, "3 of 9, biased: background") as line:
        clock.now += 1000
        line.finished(5, 0, "x" * 60 + "end")
    assert line.text() == f"3 of 9, biased: background: 95 of 100, …{'x' * 36}end: 17 min left"


@pytest.mark.parametrize("columns", ["40", "60", "80"])
def test_the_time_is_told_in_narrow_terminals_too(columns: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with Progress(62, 0, False) as line:
        clock.now += 10
        line.ended("images/n02123045/n02123045_a_tabby_with_a_long_name.jpeg")
        assert " left" in line.text()[: int(columns) - 1]
        assert "name.jpeg" in line.text() or columns == "40"


@pytest.mark.parametrize(
    ("seconds", "words"), [(38.2, "38 s"), (240, "4 min"), (7500, "2 h 5 min"), (0.0, "0 s"), (36_000, "10 h 0 min")]
)
def test_durations(seconds: float, words: str, clock: Clock) -> None:
    with Progress(2, 0, False) as line:
        clock.now += seconds
        line.ended("a")
        assert f"a: {words} left" in line.text()


def test_images_are_told_one_by_one_though_they_share_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    ended = Progress.ended
    monkeypatch.setattr(
        Progress, "ended", lambda self, name: (told.append(name), ended(self, name), told.append(self.text()))
    )
    run_study(patch_items(8, broken=(5,)), Brightest(), GRID, out=tmp_path, group=4, show_progress=True)
    assert sorted(told[::2]) == [f"patch-{number}" for number in range(8) if number != 5]
    counts = [int(text.split(" of ")[0].removeprefix("study: ")) for text in told[1::2]]
    assert counts[:4] == [1, 2, 3, 4]
    last = capsys.readouterr().err.rstrip().rpartition("\r")[2]
    assert last.startswith("study: 8 of 8, ")
    assert last.endswith("1 error(s)")
