"""How an experiment that was run is told, its size and the command that repeats it; runs with several seeds."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
pytest.importorskip("matplotlib", reason="needs matplotlib (the study extra)")
from studies import GRID, TINY, patch_items
from tiny_models import Brightest

from captum_focalogic.errors import InputError
from captum_focalogic.experiments import Embedded, ImageNet, Photos, run_experiment
from captum_focalogic.experiments.baselines import Series
from captum_focalogic.experiments.framework import Condition, MissingResult, Result, Workspace
from captum_focalogic.experiments.registry import _pooled, _run_conditions, how
from captum_focalogic.study import read_rows
from captum_focalogic.study.settings import StudySettings, model_factory


def test_the_command_is_told_that_was_run() -> None:
    said, command = how("models", Embedded(images=3, seed=5, scenes=256, epochs=2))
    assert said == "Size: embedded (images 3, seed 5, scenes 256, epochs 2)."
    assert "focalogic experiment models --size embedded --images 3 --seed 5 --scenes 256 --epochs 2\n" in command
    assert "--epochs" not in how("stability", Embedded(images=3))[1]
    images = ImageNet("my images", models=("a:b", "c:d"))
    command = how("stability", images)[1]
    assert "--data 'my images'" in command
    assert "--model a:b --model c:d\n" in command
    assert "--epochs" not in how("models", Photos())[1]
    assert "--seeds" not in how("models", Embedded())[1]
    said, command = how("models", Embedded(), 5)
    assert "seeds 5" in said
    assert "--seeds 5" in command


SMALL = Embedded(images=10, settings=replace(TINY, segmentations=()))


def test_the_mean_of_two_seeds_is_that_of_their_runs(tmp_path: Path) -> None:
    outcome, _ = run_experiment("stability", SMALL, tmp_path, seeds=2)
    line = next(csv.DictReader((tmp_path / "stability.csv").read_text().splitlines()))
    means = []
    seen: set[str] = set()
    for seed in ("seed-0", "seed-1"):
        rows = read_rows(tmp_path / seed / "runs" / "own regions")
        assert not seen & set(rows.column("id").to_pylist())
        seen |= set(rows.column("id").to_pylist())
        values = rows.column("irreducible_recall").to_pylist()
        means.append(sum(values) / len(values))
    assert line["images"] == "20"
    assert line["recall"].startswith(f"{sum(means) / 2:.3f} ")
    one, _ = run_experiment("stability", replace(SMALL, seed=1), tmp_path / "alone")
    column = one.tables[0].header.index("recall")
    assert one.tables[0].rows[0][column].startswith(f"{means[1]:.3f} ")
    assert "--seeds 2" in (tmp_path / "stability.md").read_text()
    (note,) = (note for note in outcome.notes if "Several seeds" in note)
    assert "explains other scenes" in note
    assert "trains" not in note  # the network is the package's
    regions = outcome.tables[-1].rows
    assert {row[1] for row in regions[:-1]} == {"20"}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    again, _ = run_experiment("stability", SMALL, tmp_path, seeds=2)
    assert [table.rows for table in again.tables] == [table.rows for table in outcome.tables]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")} == before


def test_what_one_seed_could_not_do_is_not_done() -> None:
    missing = MissingResult("attacked", "the attack reached its target on none of 10 images")
    done = Result("attacked", None)
    assert _pooled([done, missing]) is missing
    assert _pooled([done]) is done
    series = _pooled([Series("own budget", ["a"], {"x": "torn"}), Series("own budget", ["b"], {})])
    assert (series.name, series.comparisons, series.failed) == ("own budget", ["a", "b"], {"x": "torn"})


def test_seeds_are_for_scenes() -> None:
    with pytest.raises(InputError, match="embedded size"):
        run_experiment("models", ImageNet("nowhere", images=20), "nowhere", seeds=2)
    with pytest.raises(InputError, match="seeds must be"):
        run_experiment("models", SMALL, "nowhere", seeds=0)


def test_bars_say_which_of_how_many_conditions_they_are_of(tmp_path: Path) -> None:
    bars = [Condition(name, "", lambda workspace: workspace.show_progress) for name in ("vanilla", "biased")]
    assert _run_conditions(bars, tmp_path, None, True) == ["1 of 2, vanilla", "2 of 2, biased"]
    assert _run_conditions(bars, tmp_path, None, False) == [False, False]


def test_a_studys_bar_begins_with_what_it_is_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = StudySettings(model_factory(Brightest()), GRID, False)
    Workspace(tmp_path, show_progress="3 of 9, biased").study("a", settings, patch_items(2))
    assert "3 of 9, biased: 2 of 2" in capsys.readouterr().err
