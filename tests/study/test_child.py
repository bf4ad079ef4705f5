"""A study in a process of its own: the same rows, and an image that kills the process costs one row."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
pytest.importorskip("cloudpickle", reason="needs cloudpickle (the study extra)")

from makers import start_python
from studies import GRID, patch_items, patches
from tiny_models import Brightest, Loud

from captum_focalogic.errors import BrokenModelError, FocaLogicWarning, StudyError
from captum_focalogic.study import Local, Subprocess, read_rows, run_study, same_rows
from captum_focalogic.study.child import UnsentError


def study(out: Path, model: Any, engine: Any = None, count: int = 16, **how: Any) -> Any:
    return run_study(patch_items(count, (5,)), model, GRID, out=out, engine=engine, **{"group": 4, "batch": 16, **how})


def deadly(number: int, end: str = "os._exit(7)") -> Any:
    """A model that kills its process whenever it sees the whole of one image; no other process knows its code."""
    scope: dict[str, Any] = {"os": os, "signal": signal, "torch": torch, "image": patches(number)}
    code = f"def net(images):\n if (images == image).all(dim=(1, 2, 3)).any(): {end}\n return images.sum(dim=(2, 3))"
    exec(code, scope)
    return scope["net"]


def test_rows_are_the_same_bit_for_bit(tmp_path: Path) -> None:
    assert same_rows(study(tmp_path / "here", Brightest()), study(tmp_path / "there", Loud(), Subprocess()))


def test_an_image_that_kills_the_process_costs_one_row(tmp_path: Path) -> None:
    rows = study(tmp_path / "deadly", deadly(9, "os.kill(os.getpid(), signal.SIGSEGV)"), Subprocess())
    whole = study(tmp_path / "whole", lambda images: images.sum(dim=(2, 3)))
    assert [row["index"] for row in rows.to_pylist() if row["error"] is not None] == [5, 9]
    assert rows.column("error")[9].as_py().startswith("DeadProcessError: the process died each time")
    others = [index for index in range(16) if index != 9]
    assert same_rows(rows.take(others), whole.take(others))


IN_PLACE = """
import sys
from tests_child import deadly, study
study(sys.argv[1], deadly(9))
"""


def test_the_callers_own_process_dies_of_an_image_once_at_most(tmp_path: Path) -> None:
    (tmp_path / "tests_child.py").write_text(Path(__file__).read_text())
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{IN_PLACE}"
    out = str(tmp_path / "run")
    ends = []
    for _ in range(2):
        process = start_python(code, out)
        process.communicate(timeout=300)
        ends.append(process.returncode)
    assert ends == [7, 0]
    rows = read_rows(out).to_pylist()
    assert [row["index"] for row in rows if row["error"] is not None] == [5, 9]


def test_what_cannot_be_sent_says_so_and_is_done_here_unless_asked_otherwise(tmp_path: Path) -> None:
    lock = threading.Lock()

    def locked(images: torch.Tensor) -> torch.Tensor:
        with lock:
            return images.sum(dim=(2, 3))

    with pytest.raises(UnsentError, match=r"another process.*use the engine Local\(\)"):
        study(tmp_path / "asked", locked, Subprocess())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "under-way.json").write_text('{"deaths": [[9, 1]], "under_way": [9]}')
    assert same_rows(study(tmp_path / "run", locked), study(tmp_path / "whole", Brightest()))


class Nowhere(Brightest):
    """Its class cannot be read again."""

    def __reduce__(self) -> Any:
        return _gone, ()


def _gone() -> None:
    raise FileNotFoundError("no weights here")


def test_what_cannot_be_made_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnsentError, match="cannot be taken to another process"):
        study(tmp_path, Nowhere(), Subprocess())


def test_a_model_that_kills_its_process_on_every_image_ends_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captum_focalogic.study.run.MOST", 2)

    def always(images: torch.Tensor) -> torch.Tensor:
        os._exit(3)

    with pytest.raises(StudyError, match="died with 3; what was written is safe"):
        study(tmp_path, always, Subprocess())


def test_errors_arrive_here(tmp_path: Path) -> None:
    def broken(images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no weights")

    with pytest.raises(BrokenModelError, match="RuntimeError: no weights"):
        study(tmp_path, broken, Subprocess(), group=12)
    assert len(read_rows(tmp_path)) == 0


def test_an_interrupt_here_ends_the_other_process(tmp_path: Path) -> None:
    class Interrupted(Subprocess):
        def run(self, *arguments: Any) -> Any:
            for rows in super().run(*arguments):
                yield rows
                raise KeyboardInterrupt

    (tmp_path / "pids").mkdir()
    pids = tmp_path / "pids"

    def noting(images: torch.Tensor) -> torch.Tensor:
        (pids / str(os.getpid())).touch()
        return images.sum(dim=(2, 3))

    with pytest.raises(KeyboardInterrupt):
        study(tmp_path / "run", noting, Interrupted())
    others = [int(path.name) for path in pids.iterdir() if int(path.name) != os.getpid()]
    assert others
    assert not any(Path(f"/proc/{pid}").exists() for pid in others)
    assert 0 < len(read_rows(tmp_path / "run")) < 16
    assert same_rows(study(tmp_path / "run", noting, Local()), study(tmp_path / "whole", Brightest()))


def test_warnings_and_images_are_told_in_the_process_that_somebody_watches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how: dict[str, Any] = {"group": 4, "engine": Subprocess(), "show_progress": True}
    with pytest.warns(FocaLogicWarning, match="none of the first 4 images has ground truth"):
        run_study(patch_items(8), Brightest(), GRID, lambda *_: None, tmp_path, **how)
    assert "study: 8 of 8, patch-7: 0 s left" in capsys.readouterr().err
