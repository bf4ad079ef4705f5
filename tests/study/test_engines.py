"""Ray's workers: the same rows as one process makes, also when one of them is killed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
ray = pytest.importorskip("ray", reason="needs ray (the ray extra)")

from studies import GRID, patch_items, patches  # noqa: E402
from tiny_models import Brightest  # noqa: E402

from captum_focalogic.classifier import Classifier  # noqa: E402
from captum_focalogic.demo import load_model  # noqa: E402
from captum_focalogic.errors import BrokenModelError, FocaLogicWarning, InputError  # noqa: E402
from captum_focalogic.study import Item, ModelFactory, RayEngine, read_rows, run_study, same_rows, scenes  # noqa: E402
from captum_focalogic.study.engines import start_ray  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    start_ray(3)
    yield
    ray.shutdown()


def study(out: Path, model: Any, engine: RayEngine | None = None, count: int = 24, **how: Any) -> Any:
    how = {"group": 4, "batch": 16, "shard_rows": 1, **how}
    return run_study(patch_items(count, (5,)), model, GRID, out=out, engine=engine, **how)


def test_rows_are_the_same_bit_for_bit(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    how: dict[str, Any] = {"group": 3, "batch": 16, "max_evaluations": 64}
    local = run_study(scenes(12), load_model(), out=tmp_path / "local", **how)
    spread = run_study(scenes(12), load_model(), out=tmp_path / "ray", engine=RayEngine(workers=2), **how)
    assert same_rows(local, spread)


class Killed(Brightest):
    """Kills its own process in the middle of its third batch; the first process that gets there, once."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.calls = folder, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == 3:
            try:
                (self.folder / "dead").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                (self.folder / "pid").write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(images)


def test_a_worker_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    recipe = ModelFactory(lambda: Classifier(Killed(tmp_path)), "brightest")
    rows = study(tmp_path / "killed", recipe, RayEngine(workers=2))
    assert int((tmp_path / "pid").read_text()) != os.getpid()
    assert same_rows(rows, study(tmp_path / "whole", Brightest()))


class Deadly(Brightest):
    """Kills its process whenever it sees the whole of one image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if (images == patches(9)).all(dim=(1, 2, 3)).any():
            os._exit(7)
        return super().forward(images)


def test_an_image_that_kills_its_worker_costs_one_row(tmp_path: Path) -> None:
    rows = study(tmp_path / "killed", ModelFactory(lambda: Classifier(Deadly()), "brightest"), RayEngine(workers=2))
    whole = study(tmp_path / "whole", Brightest())
    errors = [row["index"] for row in rows.to_pylist() if row["error"] is not None]
    assert errors == [5, 9]
    assert rows.column("error")[9].as_py().startswith("DeadProcessError: the process died each time")
    others = [index for index in range(24) if index != 9]
    assert same_rows(rows.take(others), whole.take(others))


def test_a_run_goes_on_with_another_number_of_workers_and_without_ray(tmp_path: Path) -> None:
    whole = study(tmp_path / "whole", Brightest())
    engine = RayEngine(workers=2)

    class Stopping:
        def run(self, *arguments: Any) -> Iterator[Any]:
            for number, rows in enumerate(engine.run(*arguments)):
                if number == 2:
                    raise KeyboardInterrupt
                yield rows

    with pytest.raises(KeyboardInterrupt):
        study(tmp_path / "run", Brightest(), Stopping())  # type: ignore[arg-type]
    some = len(read_rows(tmp_path / "run"))
    assert 0 < some < 24
    again = study(tmp_path / "run", Brightest(), RayEngine(workers=1))
    assert same_rows(again, whole)


def test_a_broken_model_ends_the_study_here_too(tmp_path: Path) -> None:
    def broken(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no weights")

    with pytest.raises(BrokenModelError, match="RuntimeError: no weights"):
        study(tmp_path, broken, RayEngine(workers=1), group=12)
    assert len(read_rows(tmp_path)) == 0


def test_a_model_that_cannot_be_made_in_a_worker_ends_the_study_and_costs_no_rows(tmp_path: Path) -> None:
    def make() -> Classifier:
        raise FileNotFoundError("no weights here")

    with pytest.raises(FileNotFoundError, match="no weights here"):
        study(tmp_path, ModelFactory(make, "unmade"), RayEngine(workers=1), count=4)
    assert len(read_rows(tmp_path)) == 0


@pytest.mark.parametrize("change", [{"workers": 0}, {"cpus": 0}, {"gpus": -1}])
def test_numbers_that_cannot_be(change: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1 worker"):
        RayEngine(**change)  # type: ignore[arg-type]


def masks_of_another_size(image: torch.Tensor, label: str, name: str) -> np.ndarray:
    return np.ones((3, 5), dtype=np.bool_)


class Noted(Brightest):
    """Leaves a file where it is asked anything."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.path.touch()
        return super().forward(images)


def test_what_fits_no_image_stops_a_study_before_its_first_row_here_too(tmp_path: Path) -> None:
    noted = ModelFactory(lambda: Classifier(Noted(tmp_path / "asked")), "noted")
    how: dict[str, Any] = {"out": tmp_path / "run", "group": 4, "engine": RayEngine(workers=1)}
    with pytest.raises(InputError, match=r"nothing was asked yet: each of the first 4 images.*the mask is 5x3 pixels"):
        run_study(patch_items(8), noted, GRID, masks_of_another_size, **how)
    assert not (tmp_path / "asked").exists()
    assert len(read_rows(tmp_path / "run")) == 0


def test_truth_that_is_not_there_is_told_here_too(tmp_path: Path) -> None:
    with pytest.warns(FocaLogicWarning, match="none of the first 4 images has ground truth"):
        run_study(patch_items(8), Brightest(), GRID, lambda *_: None, tmp_path, group=4, engine=RayEngine(workers=2))


def test_classes_that_the_model_does_not_have_stop_a_study_before_its_first_row_here_too(tmp_path: Path) -> None:
    items = [Item(f"patch-{number}", patch_items(12)[number].read, number) for number in range(12)]
    with pytest.raises(InputError, match=r"the model has 3 classes, 0 to 2, but 9 image.*'patch-3' is of class 3"):
        run_study(items, Brightest(), GRID, out=tmp_path, group=4, engine=RayEngine(workers=2))
    assert len(read_rows(tmp_path)) == 0
