"""Trainings that are followed: which checkpoints, what counts as trained, what is compared, and that it is resumed."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
pytest.importorskip("filelock", reason="needs filelock (the study extra)")
pytest.importorskip("matplotlib", reason="needs matplotlib (the study extra)")
import pyarrow as pa
from makers import run_command, save_half_objects
from safetensors.torch import load_file
from studies import TINY

from captum_focalogic.demo.batches import SceneSet
from captum_focalogic.demo.network import SceneNetwork
from captum_focalogic.demo.train import TrainingConfig, train
from captum_focalogic.errors import InputError
from captum_focalogic.experiments import Embedded, ImageNet, run_experiment, training
from captum_focalogic.experiments.framework import DEFAULT_MODEL, Result, Workspace
from captum_focalogic.experiments.training import CHANCE, RIGHT, TrainingCurve, _finding, checkpoints, first_trained

SMALL = Embedded(images=3, scenes=128, epochs=2, settings=TINY)


@given(some.integers(1, 200))
def test_checkpoints_rise_from_the_first_epoch_to_the_last(epochs: int) -> None:
    chosen = checkpoints(epochs)
    assert chosen[0] == 1
    assert chosen[-1] == epochs
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= training.CHECKPOINTS
    # every step is at least as far as the one before, up to rounding
    steps = np.diff(chosen)
    assert all(late >= early - 1 for early, late in pairwise(steps))


def test_checkpoints_of_the_papers_training() -> None:
    # powers of 50 ** (1 / 7) = 1.749: 1, 1.75, 3.06, 5.35, 9.35, 16.35, 28.59, 50
    assert checkpoints(50) == [1, 2, 3, 5, 9, 16, 29, 50]


@pytest.mark.parametrize(
    ("accuracies", "chance", "expected"),
    [
        ([0.5, 0.6, 0.8, 0.9], 0.5, 2),  # half of the way is 0.7
        ([0.5, 0.75, 0.9, 1.0], 0.5, 1),  # exactly half of the way
        ([0.9, 0.2, 0.9], 0.1, 0),
        ([0.5, 0.5, 0.59], 0.5, None),  # hardly better than guessing
        ([0.3, 0.9, 0.6], 0.3, 1),  # the best need not be the last
    ],
)
def test_where_a_training_has_got_somewhere(accuracies: list[float], chance: float, expected: int | None) -> None:
    assert first_trained(accuracies, chance) == expected


def test_how_far_on_the_way_is_a_choice() -> None:
    # from 0.4 to 0.8: half of the way is 0.6, three quarters are 0.7
    assert [first_trained([0.4, 0.65, 0.72, 0.8], 0.4, share) for share in (0.5, 0.75, 1.0)] == [1, 2, 3]


def result(name: str, right: float, correct: list[bool], divergence: list[float | None]) -> Result:
    """A checkpoint whose divergence is given; every other measure is the same everywhere."""
    count = len(correct)
    columns = {
        f"{reading}_{measure}": pa.array([0.5] * count, pa.float64())
        for reading in ("irreducible", "minimal", "smallest")
        for measure in ("count", "size", "precision", "recall", "divergence")
    }
    columns["smallest_divergence"] = pa.array(divergence, pa.float64())
    ids = [f"image-{place}" for place in range(count)]
    return Result(name, pa.table({"id": ids, "correct": correct, **columns}), {RIGHT: right, CHANCE: 0.5})


def test_changes_are_from_the_first_trained_checkpoint_over_images_right_in_both() -> None:
    # the first checkpoint is at chance and must not count; the two first images are wrong in the second or third
    unlearnt = result("1", 0.5, [True] * 14, [9.0] * 14)
    early = result("2", 0.8, [False, True] + [True] * 12, [0.0, 0.0] + [0.1] * 12)
    last = result("4", 0.9, [True, False] + [True] * 12, [1.0, 1.0] + [0.3] * 11 + [None])
    curve = TrainingCurve("specialised", [1, 2, 4], [unlearnt, early, last])
    assert curve.span() == "epoch 2 to 4"
    everywhere = curve.change("smallest_divergence", right_only=False)
    both = curve.change("smallest_divergence", right_only=True)
    assert everywhere is not None
    assert both is not None
    # the undefined one of the last image is left out
    assert (everywhere.count, both.count) == (13, 11)
    assert everywhere.value == pytest.approx((2 * 1.0 + 11 * 0.2) / 13)
    assert (both.value, both.low, both.high) == pytest.approx((0.2, 0.2, 0.2))
    grows = _finding(curve, "divergence", "divergence grows", "smallest")
    assert (grows.verdict, "epoch 2 to 4" in grows.evidence, "11 images" in grows.evidence) == ("confirmed", True, True)
    assert _finding(curve, "precision", "grows", "smallest").verdict == "not confirmed"
    beside = _finding(curve, "divergence", "grows", "smallest", beside=replace(curve, name="broad"))
    assert beside.evidence.endswith("; broad model: +0.200 [+0.200, +0.200], epoch 2 to 4")


def test_a_change_that_belongs_to_the_beginning_is_told_apart() -> None:
    right = [True] * 12
    values = (0.7, 0.1), (0.85, 0.3), (0.9, 0.3)
    curve = TrainingCurve("specialised", [1, 2, 4], [result(str(at), at, right, [value] * 12) for at, value in values])
    # half of the way from 0.5 is 0.7, three quarters are 0.8
    evidence = _finding(curve, "divergence", "grows", "smallest").evidence
    assert evidence.startswith("+0.200 [+0.200, +0.200], 12 images, epoch 1 to 4")
    assert evidence.endswith("; epoch 2 to 4: +0.000 [+0.000, +0.000]")


def test_what_cannot_be_compared_is_not_tested() -> None:
    right, wrong = [True] * 12, [False] * 12
    chance = TrainingCurve("broad", [1, 2], [result("1", 0.5, right, [0.1] * 12), result("2", 0.55, right, [0.9] * 12)])
    late = TrainingCurve("broad", [1, 2], [result("1", 0.5, right, [0.1] * 12), result("2", 0.9, right, [0.9] * 12)])
    apart = TrainingCurve("broad", [1, 2], [result("1", 0.9, wrong, [0.1] * 12), result("2", 0.9, right, [0.9] * 12)])
    for curve in (chance, late, apart):
        found = _finding(curve, "divergence", "divergence grows", "smallest")
        assert found.verdict == "not testable here", curve
    assert "guessing" in _finding(chance, "divergence", "", "smallest").evidence
    assert "only the last" in _finding(late, "divergence", "", "smallest").evidence


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("training")
    run_experiment("training", SMALL, out)
    return out


def test_there_is_a_line_for_each_checkpoint_and_reading(done: Path) -> None:
    lines = (done / "training.csv").read_text().splitlines()
    assert [line.split('"')[1] for line in lines[1:]] == [
        f"{name}, epoch {epoch}" for name in ("broad", "specialised") for epoch in (1, 1, 2, 2)
    ]
    changes = (done / "training-2.csv").read_text().splitlines()
    assert len(changes) == 1 + 2 * 2 * 3
    assert "not testable here" in (done / "training.md").read_text()


def test_checkpoints_are_those_of_one_training(done: Path) -> None:
    how = TrainingConfig(0, 128, 2, 64, training.RATE, scene=training._SCENES)
    kept = {path.stem: load_file(path) for path in (done / "made").glob("*.safetensors")}
    assert sorted(kept) == [f"{name}, epoch {epoch}" for name in ("broad", "specialised") for epoch in (1, 2)]
    seen: list[dict[str, torch.Tensor]] = []

    def note(_: int, model: torch.nn.Module) -> None:
        seen.append({name: values.clone() for name, values in model.state_dict().items()})

    scenes = training.draw_scenes(how, (0, 1, 2))
    assert np.bincount(scenes.labels).tolist() == [42, 43, 43]
    train(how, scenes, network=lambda: SceneNetwork(3), on_epoch=note)
    for epoch, weights in enumerate(seen, start=1):
        for name, values in weights.items():
            assert torch.equal(kept[f"broad, epoch {epoch}"][name], values), (epoch, name)


class _Interrupted(Exception):
    pass


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_training_that_is_broken_off_goes_on_to_the_same_weights(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = TrainingConfig(0, 128, 4, 32, training.RATE, scene=training._SCENES)
    whole = {epoch: training._weights_after(Workspace(tmp_path / "a"), "x", how, (0, 1), epoch) for epoch in (1, 2, 4)}
    passes: list[int] = []
    occluded = SceneSet.batches

    def counted(*arguments: object, **options: object) -> object:
        passes.append(1)
        if len(passes) == at + 1 and broken:
            raise _Interrupted
        return occluded(*arguments, **options)

    monkeypatch.setattr(SceneSet, "batches", counted)
    workspace, broken = Workspace(tmp_path / "b"), True
    with pytest.raises(_Interrupted):
        training._weights_after(workspace, "x", how, (0, 1), 1)
    broken = False
    passes.clear()
    for epoch, weights in whole.items():
        again = training._weights_after(workspace, "x", how, (0, 1), epoch)
        assert all(torch.equal(again[name], values) for name, values in weights.items()), epoch
    # the epochs that were done are not done again
    assert len(passes) == 4 - at
    assert not list((tmp_path / "b").rglob("*going on*"))


def test_a_checkpoint_that_is_gone_is_made_again(tmp_path: Path) -> None:
    how = TrainingConfig(0, 64, 2, 32, training.RATE, scene=training._SCENES)
    workspace = Workspace(tmp_path)
    first = training._weights_after(workspace, "x", how, (0, 1), 1)
    workspace.kept("x, epoch 1", "").clear()
    again = training._weights_after(workspace, "x", how, (0, 1), 1)
    assert all(torch.equal(again[name], values) for name, values in first.items())


def test_the_specialised_model_never_sees_the_other_rule_met() -> None:
    how = TrainingConfig(0, 64, 1, 32, scene=training._SCENES)
    assert sorted(set(training.draw_scenes(how, (0, 1)).labels.tolist())) == [0, 1]


def test_a_second_run_trains_and_explains_nothing(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    page = (done / "training.md").read_bytes()
    (done / "training.md").unlink()
    shards = {path: path.stat().st_mtime_ns for path in done.rglob("rows-*.parquet")}
    monkeypatch.setattr(training, "train", refuse)
    run_experiment("training", SMALL, done)
    assert (done / "training.md").read_bytes() == page
    assert {path: path.stat().st_mtime_ns for path in done.rglob("rows-*.parquet")} == shards
    assert len({path.parent for path in shards}) == 4


def test_dry_runs_say_what_would_be_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("experiment", "training", "--dry-run", "--epochs", 50, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert all(f"{name}, epoch {epoch}" in said for name in ("broad", "specialised") for epoch in (1, 9, 50))
    assert (
        run_command(
            "experiment", "training", "--size", "imagenet", "--data", tmp_path, "--dry-run", "--out", tmp_path / "out"
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "specialised, epoch 29" in said
    assert DEFAULT_MODEL in said
    assert not (tmp_path / "out").exists()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two breeds of dogs and something else, as small as torchvision's models take images; and masks."""
    return save_half_objects(tmp_path, dict.fromkeys(("1", "151", "207"), 4), 232)


def on_images(images: Path, **how: object) -> ImageNet:
    usual = {"models": ("torchvision:resnet18",), "weights": "random", "segmenter": "grid:1x3", "epochs": 2}
    masks = f"masks:{images / 'masks'}"
    return ImageNet(str(images / "data"), images=1, truth=masks, **{**usual, **how})  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:.*RANDOM weights")
def test_a_named_model_on_images_goes_on_from_the_last_checkpoint(images: Path, tmp_path: Path) -> None:
    config = on_images(images)
    outcome, _ = run_experiment("training", config, tmp_path / "out")
    table = outcome.tables[0]
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert [row["checkpoint"] for row in rows[::2]] == [
        f"{name}, epoch {epoch}" for name in ("broad", "specialised") for epoch in (1, 2)
    ]
    assert {row["images"] for row in rows} == {"1"}
    assert {found.source for found in outcome.findings} == set(training.EXPERIMENT.judges)
    assert {found.verdict for found in outcome.findings} == {"not testable here"}
    made = tmp_path / "out/made"
    first, last = (load_file(made / f"broad, epoch {epoch}.safetensors") for epoch in (1, 2))
    assert first["model.fc.weight"].shape == (3, 512)
    assert load_file(made / "specialised, epoch 1.safetensors")["model.fc.weight"].shape == (2, 512)
    assert not torch.equal(first["model.fc.weight"], last["model.fc.weight"])
    # broken off after the first checkpoint, the training goes on from there and ends where it would have
    other = Workspace(tmp_path / "other")
    (tmp_path / "other/made").mkdir(parents=True)
    (made / "broad, epoch 1.safetensors").rename(tmp_path / "other/made/broad, epoch 1.safetensors")
    setup = training.image_trainings(config)[0].setup(other, 2)
    assert setup.facts[CHANCE] == pytest.approx(1 / 3)
    again = load_file(tmp_path / "other/made/broad, epoch 2.safetensors")
    for name, values in last.items():
        assert torch.equal(again[name], values), name


@pytest.mark.filterwarnings("ignore:.*RANDOM weights")
def test_what_cannot_be_trained_is_said(images: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="follows one model, but 2"):
        training.image_trainings(on_images(images, models=("demo", "torchvision:resnet18")))
    (images / "data/207").rename(images / "data/300")
    curve = training.image_trainings(on_images(images))[1]
    with pytest.raises(InputError, match="has 1; give a folder of ImageNet"):
        curve.setup(Workspace(tmp_path / "out"), 1)


def test_the_trainings_are_held_against_each_other_as_they_end() -> None:
    broad = result("broad, epoch 4", 0.9, [True] * 12, [0.1] * 12)
    worse = broad.mapped(
        lambda rows: rows.set_column(
            rows.column_names.index("smallest_recall"), "smallest_recall", pa.array([0.3] * 12, pa.float64())
        )
    )
    verdicts = {(found.claim, found.reading): found.verdict for found in training._last(broad, worse)}
    assert verdicts["in the end the specialised model has a lower recall than the broad one", "smallest"] == "confirmed"
    assert sorted(verdicts.values()) == ["confirmed", *["not confirmed"] * 4]
