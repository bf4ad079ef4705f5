"""Several architectures: small networks on scenes, named models on images."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
pytest.importorskip("filelock", reason="needs filelock (the study extra)")
pytest.importorskip("matplotlib", reason="needs matplotlib (the study extra)")
from makers import run_command, save_half_objects
from studies import TINY, table_of

from captum_focalogic.experiments import Embedded, ImageNet, models, networks, run_experiment
from captum_focalogic.experiments.framework import Result
from captum_focalogic.experiments.networks import ARCHITECTURES
from captum_focalogic.study import StudyError

SMALL = Embedded(images=3, scenes=128, epochs=1, settings=TINY)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models")
    run_experiment("models", SMALL, out)
    return out


def test_there_is_a_line_for_each_model_and_reading(done: Path) -> None:
    lines = (done / "models.csv").read_text().splitlines()
    names = [*ARCHITECTURES, models.CONTRASTIVE]
    assert [line.split(",")[:3] for line in lines[1:-1]] == [
        [name, reading, "3"] for name in names for reading in ("irreducible", "smallest")
    ]
    assert lines[-1].startswith('"the paper, Table 3"')
    assert lines[-1].endswith("0.61 to 0.72,0.56 to 0.67,0.04 to 0.08")
    page = (done / "models.md").read_text()
    assert page.count("more accurate models are more precise") == 4
    assert (done / "models.svg").stat().st_size > 1_000


def test_a_second_run_trains_and_explains_nothing(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    page = (done / "models.md").read_bytes()
    (done / "models.md").unlink()
    shards = {path: path.stat().st_mtime_ns for path in done.rglob("rows-*.parquet")}
    monkeypatch.setattr("captum_focalogic.experiments.scenes.train", refuse)
    monkeypatch.setattr(models, "train_contrastive", refuse)
    run_experiment("models", SMALL, done)
    assert (done / "models.md").read_bytes() == page
    assert {path: path.stat().st_mtime_ns for path in done.rglob("rows-*.parquet")} == shards
    assert {path.parent.name for path in shards} == {*ARCHITECTURES, models.CONTRASTIVE}


def test_another_seed_trains_other_networks(done: Path) -> None:
    with pytest.raises(StudyError, match="other settings"):
        run_experiment("models", replace(SMALL, seed=1), done)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images of the size that torchvision's models take, and masks of their left halves."""
    return save_half_objects(tmp_path, {"0": 1, "207": 1}, 256)


@pytest.mark.filterwarnings("ignore:.*RANDOM weights")
def test_named_models_on_a_folder_of_images(images: Path, tmp_path: Path) -> None:
    config = ImageNet(
        data=str(images / "data"),
        images=2,
        models=("torchvision:resnet18", "torchvision:squeezenet1_1"),
        weights="random",
        segmenter="grid:2x3",
        truth=f"masks:{images / 'masks'}",
    )
    outcome, _ = run_experiment("models", config, tmp_path / "out")
    table = outcome.tables[0]
    rows = {(row[0], row[1]): dict(zip(table.header, row, strict=True)) for row in table.rows}
    for name, parameters in (("torchvision:resnet18", "11,689,512"), ("torchvision:squeezenet1_1", "1,235,496")):
        row = rows[name, "smallest"]
        assert (row["images"], row["parameters"]) == ("2", parameters)
    assert [found.verdict for found in outcome.findings] == ["not testable here"] * 10
    assert {found.source for found in outcome.findings} == set(models.EXPERIMENT.judges)
    assert "2 models" in outcome.findings[0].evidence
    # two of the six cells are wholly in the left half, and two by half, which counts: at most 4 of 6 regions
    settings = json.loads((tmp_path / "out/runs/torchvision-resnet18/settings.json").read_text())
    assert settings["segmenter"] == "Grid(rows=2, columns=3)"


def test_dry_runs_say_what_would_be_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("experiment", "models", "--dry-run", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert all(name in said for name in (*ARCHITECTURES, models.CONTRASTIVE))
    assert (
        run_command(
            "experiment", "models", "--size", "imagenet", "--data", tmp_path, "--dry-run", "--out", tmp_path / "out"
        )
        == 0
    )
    said = capsys.readouterr().out
    assert all(name in said for name in models.MODELS)
    assert not (tmp_path / "out").exists()


def test_the_scenes_have_the_side_that_the_networks_are_made_for() -> None:
    assert models._SCENES.size == networks.SIDE


def _result(name: str, precision: float, divergence: float) -> Result:
    ids = [f"{number}" for number in range(12)]
    values = {
        f"{reading}_{measure}": [value] * 12
        for reading in ("irreducible", "smallest")
        for measure, value in (("precision", precision), ("divergence", divergence))
    }
    return Result(name, table_of({"id": ids, "correct": [True] * 12, **values}))


def test_transformers_and_zero_shot_models_are_held_against_each_other_model() -> None:
    results = [_result("small ResNet", 0.7, 0.04), _result("small ViT", 0.7, 0.08), _result("zero-shot", 0.6, 0.05)]
    said = {
        (found.claim, found.reading): found for found in (*models._transformer(results), *models._zero_shot(results))
    }
    assert len(said) == 6
    assert {found.verdict for found in said.values()} == {"confirmed"}
    diverging = said["the vision transformer has a higher divergence than any other model", "smallest"]
    assert diverging.evidence == "holds against 2 of 2 (small ResNet, zero-shot)"
    # as precise as the others, and no more divergent than the convolutional network
    alike = models._zero_shot([*results[:2], _result("open_clip:ViT-B-32@imagenet", 0.7, 0.03)])
    assert {found.verdict for found in alike} == {"not confirmed"}
    assert "small ResNet -0.010" in alike[-1].evidence


def test_without_such_a_model_there_is_no_verdict() -> None:
    results = [_result("small ResNet", 0.7, 0.04), _result("small DenseNet", 0.7, 0.04)]
    found = [*models._transformer(results), *models._zero_shot(results)]
    assert {each.verdict for each in found} == {"not testable here"}
    assert {each.evidence for each in found} == {"there is no such model among these"}


def test_a_model_in_a_file_is_called_without_its_folder() -> None:
    assert models._titles(["/home/me/net.py:load", "demo"]) == {"/home/me/net.py:load": "net.py:load", "demo": "demo"}
    # timm's names have no file, and two files of one name stay apart
    apart = ["a/net.py:load", "b/net.py:load"]
    assert models._titles(apart) == dict(zip(apart, apart, strict=True))
    assert list(models._titles(models.MODELS).values()) == list(models.MODELS)
