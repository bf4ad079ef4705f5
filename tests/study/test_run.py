"""Runs: every image once, the right numbers, and the same rows however the run went."""

import itertools
import json
import math
import random
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
pytest.importorskip("filelock", reason="needs filelock (the study extra)")

from makers import kill_process, start_python
from oracles import all_assignments, entries, irreducible
from studies import GRID, SIDE, patch_items, patches, save_images, wait_for_shards
from tiny_models import Brightest

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import BrokenModelError, FocaLogicWarning, InputError
from captum_focalogic.integrations.vision_transformers import TokenRemoval
from captum_focalogic.study import (
    Item,
    Local,
    ModelFactory,
    Sample,
    StudyError,
    hugging_face,
    image_folder,
    listed,
    read_rows,
    read_settings,
    run_study,
    same_rows,
    scenes,
    states_of,
)
from captum_focalogic.study.rows import as_table
from captum_focalogic.study.settings import model_factory


def study(out: Path, count: int = 20, broken: tuple[int, ...] = (), **how: Any) -> Any:
    how = {"group": 4, "batch": 16, **how}
    return run_study(patch_items(count, broken), Brightest(), GRID, out=out, **how)


def by_hand(number: int) -> dict[str, Any]:
    """Irreducible states and their measures for one image of six cells, from the definition."""
    image = patches(number).numpy().astype(np.float64)
    cells = GRID(torch.zeros(3, SIDE, SIDE)) - 1
    strength = np.array([[image[channel][cells == cell].sum() for cell in range(6)] for channel in range(3)])
    states = [np.array(bits, dtype=bool) for bits in itertools.product([False, True], repeat=6)]
    own = int(strength.sum(axis=1).argmax())
    valid = {tuple(state): int((strength * state).sum(axis=1).argmax()) == own for state in states}

    def children(state: tuple[bool, ...]) -> list[tuple[bool, ...]]:
        dropped = [(*state[:j], False, *state[j + 1 :]) for j in range(6) if state[j]]
        return [child for child in dropped if valid[child]]

    level, final = {(True,) * 6}, set()
    while level:
        final |= {state for state in level if not children(state)}
        level = {child for state in level for child in children(state)}
    kept = np.array(sorted(final), dtype=bool)
    left = np.array([0, 1, 3, 4]), np.array([2, 5])
    areas = np.full(6, 1 / 6)
    # the grid's middle column lies half in the object, which is as much as the threshold asks for
    truth = np.zeros(6, dtype=bool)
    truth[left[0]] = True
    covered = kept @ (areas * truth)
    return {
        "states": kept,
        "prediction": own,
        "precision": float(np.mean(covered / (kept @ areas))) if kept.any(axis=1).all() else math.nan,
        "recall": float(np.mean(covered / (areas * truth).sum())),
        "divergence": float((areas * kept.var(axis=0)).sum()),
    }


def test_rows_hold_what_the_definitions_give(tmp_path: Path) -> None:
    rows = study(tmp_path).to_pylist()
    assert [row["id"] for row in rows] == [f"patch-{number}" for number in range(20)]
    several = 0
    for number, row in enumerate(rows):
        expected = by_hand(number)
        assert sorted(map(tuple, states_of(row))) == sorted(map(tuple, expected["states"]))
        several += len(expected["states"]) > 1
        for name in ("precision", "recall", "divergence"):
            assert row[f"irreducible_{name}"] == pytest.approx(expected[name], abs=1e-12, nan_ok=True)
        sizes = expected["states"].sum(axis=1)
        assert (row["irreducible_count"], row["irreducible_size"]) == (len(sizes), sizes.mean())
        assert (row["smallest_count"], row["smallest_size"]) == ((sizes == sizes.min()).sum(), sizes.min())
        assert row["prediction"] == expected["prediction"]
        assert row["label"] == number % 3
        assert row["correct"] == (number % 3 == expected["prediction"])
        assert row["error"] is None
        assert row["certificate_complete"] == "yes"
        assert row["truth_regions"] == [1, 2, 4, 5]
        assert row["region_coverage"] == [1, 0.5, 0, 1, 0.5, 0]
        assert row["region_iou"] == pytest.approx([1 / 3, 1 / 7, 0, 1 / 3, 1 / 7, 0])
    assert several > 3


def test_probability_is_that_of_the_whole_image(tmp_path: Path) -> None:
    for number, row in enumerate(study(tmp_path, 6).to_pylist()):
        scores = Brightest()(patches(number)[None]).softmax(dim=1)[0]
        assert row["probability"] == pytest.approx(float(scores.max()), abs=6e-5)


def test_loaders_and_shards_do_not_change_rows(tmp_path: Path) -> None:
    one = study(tmp_path / "one", broken=(3, 11), engine=Local(loaders=0), shard_rows=1)
    other = study(tmp_path / "other", broken=(3, 11), engine=Local(loaders=3, ahead=1), shard_rows=7)
    assert same_rows(one, other)
    assert len(list((tmp_path / "one").glob("*.parquet"))) == 5
    assert len(list((tmp_path / "other").glob("*.parquet"))) == 3


def test_a_bad_image_costs_one_row(tmp_path: Path) -> None:
    good = study(tmp_path / "good").to_pylist()
    rows = study(tmp_path / "bad", broken=(0, 7, 8, 19)).to_pylist()
    assert [row["index"] for row in rows if row["error"]] == [0, 7, 8, 19]
    assert rows[7]["error"] == "OSError: image 7 is torn"
    assert rows[7]["label"] == 7 % 3
    spared = [index for index in range(20) if not rows[index]["error"]]
    assert same_rows(as_table([rows[index] for index in spared]), as_table([good[index] for index in spared]))


def test_broken_files_among_images(tmp_path: Path) -> None:
    paths = save_images(tmp_path / "data", 20)
    paths[2].write_bytes(b"no image")
    whole = paths[9].read_bytes()
    paths[9].write_bytes(whole[: len(whole) // 2])
    paths[4].write_bytes(b"")
    rows = run_study(image_folder(tmp_path / "data"), Brightest(), GRID, truth=False, out=tmp_path / "run").to_pylist()
    assert len(rows) == 20
    failed = {row["id"]: row["error"] for row in rows if row["error"]}
    assert set(failed) == {path.relative_to(tmp_path / "data").as_posix() for path in (paths[2], paths[4], paths[9])}
    assert failed["ant/002.png"].endswith(
        "ant/002.png is no image that can be read; expected PNG, JPEG, WebP, TIFF, ..."
    )
    again = run_study(image_folder(tmp_path / "data"), Brightest(), GRID, truth=False, out=tmp_path / "again")
    assert same_rows(again, read_rows(tmp_path / "run"))


class Moody(Brightest):
    """Fails on batches that hold an image without any red."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores = super().forward(images)
        if bool((scores.argmax(dim=1) == 2).any()):
            raise RuntimeError("no blue, please")
        return scores


def test_an_image_that_the_model_fails_on_costs_one_row(tmp_path: Path) -> None:
    rows = run_study(patch_items(12), Moody(), GRID, out=tmp_path, group=4, max_evaluations=1).to_pylist()
    for number, row in enumerate(rows):
        if by_hand(number)["prediction"] == 2:
            assert row["error"] == "RuntimeError: no blue, please"
        else:
            assert row["error"] is None
            assert row["evaluations"] == 1
    assert 0 < sum(row["error"] is not None for row in rows) < 12


def test_a_model_that_fails_on_everything_ends_the_study(tmp_path: Path) -> None:
    def broken(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no weights")

    with pytest.raises(BrokenModelError, match=r"each of 8 images.*RuntimeError: no weights"):
        run_study(patch_items(20), broken, GRID, out=tmp_path)
    assert len(read_rows(tmp_path)) == 0


def test_running_out_of_memory_is_nobodys_row(tmp_path: Path) -> None:
    def hungry() -> Sample:
        raise MemoryError

    with pytest.raises(MemoryError):
        run_study([*patch_items(8), Item("big", hungry)], Brightest(), GRID, out=tmp_path, group=4, shard_rows=1)
    assert len(read_rows(tmp_path)) == 8


def test_an_interrupt_keeps_whole_rows_only(tmp_path: Path) -> None:
    asked = 0

    def interrupted(images: torch.Tensor) -> torch.Tensor:
        nonlocal asked
        asked += 1
        if asked == 12:
            raise KeyboardInterrupt
        return Brightest()(images)

    def once() -> Any:
        return run_study(
            patch_items(20),
            ModelFactory(lambda: Classifier(interrupted), "brightest"),
            GRID,
            out=tmp_path / "run",
            group=4,
            batch=16,
        )

    with pytest.raises(KeyboardInterrupt):
        once()
    before = len(read_rows(tmp_path / "run"))
    assert before % 4 == 0
    assert before < 20
    assert same_rows(once(), study(tmp_path / "whole"))


class Contiguous(Brightest):
    """Looks at the memory as it lies, as models do that call ``view``."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.view(len(images), -1).reshape(len(images), 3, -1).sum(dim=2)


def test_models_that_need_contiguous_images_get_them(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="view"):
        Contiguous()(torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last))
    plain = study(tmp_path / "plain", 8)
    needy = run_study(patch_items(8), Contiguous(), GRID, out=tmp_path / "needy", group=4, batch=16)
    assert needy.column("error").null_count == 8
    assert needy.column("formula").equals(plain.column("formula"))


def test_images_of_different_sizes_share_a_group(tmp_path: Path) -> None:
    def small() -> Sample:
        return Sample(patches(3)[:, ::2, ::2])

    items = patch_items(4)
    items.insert(2, Item("small", small))
    rows = run_study(items, Brightest(), GRID, out=tmp_path / "mixed").to_pylist()
    alone = study(tmp_path / "alone", 4, group=8, batch=8).to_pylist()
    assert [row["formula"] for row in rows if row["id"] != "small"] == [row["formula"] for row in alone]
    assert rows[2]["error"] is None
    assert rows[2]["irreducible_precision"] is None


def test_finished_studies_are_read_and_not_run(tmp_path: Path) -> None:
    whole = study(tmp_path)

    unasked = ModelFactory(lambda: pytest.fail("no model is needed"), model_factory(Brightest()).identity)
    again = run_study(patch_items(20), unasked, GRID, out=tmp_path, group=4, batch=16)
    assert same_rows(whole, again)


@pytest.mark.parametrize(
    "change",
    [
        {"count": 21},
        {"batch": 32},
        {"group": 5},
        {"criterion": "topk:2"},
        {"search": "chains"},
        {"reading": "smallest"},
        {"baseline": "white"},
        {"match": "iou"},
        {"truth": False},
        {"max_evaluations": 10},
    ],
)
def test_other_settings_do_not_share_a_folder(tmp_path: Path, change: dict[str, Any]) -> None:
    study(tmp_path, 4 if "count" not in change else 20)
    with pytest.raises(StudyError, match="other settings"):
        study(tmp_path, **{"count": 4, **change})


def tiny_vit() -> torch.nn.Module:
    """A vision transformer of patches of four pixels, all of its weights random."""
    vision_transformer = pytest.importorskip("torchvision.models.vision_transformer")
    torch.manual_seed(5)
    vit = vision_transformer.VisionTransformer(
        SIDE, 4, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16, num_classes=3
    )
    for parameter in vit.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    vit = vit.eval().requires_grad_(False)
    # Without what the images have in common, the answers are those of their patches.
    vit.heads.head.bias -= vit(torch.stack([patches(number) for number in range(100, 120)])).mean(0)
    return vit


def test_rows_of_a_model_that_leaves_patches_out(tmp_path: Path) -> None:
    model = tiny_vit()

    def run(out: str, **how: Any) -> Any:
        return run_study(patch_items(8), model, GRID, out=tmp_path / out, outputs="logits", group=4, batch=16, **how)

    rows, filled = run("left", removal="tokens"), run("filled").to_pylist()
    cells = torch.from_numpy(GRID(torch.zeros(3, SIDE, SIDE)) - 1)
    differ, answered = 0, set[bool]()
    for number, row in enumerate(rows.to_pylist()):
        states = torch.from_numpy(all_assignments(6))
        kept = states[:, cells]
        said = TokenRemoval(model).forward_masked(patches(number).expand(64, -1, -1, -1), kept).argmax(1)
        table = np.zeros(64, dtype=bool)
        table[entries(states.numpy())] = (said == said[states.all(1)]).numpy()
        assert set(entries(states_of(row)).tolist()) == irreducible(table)
        assert (row["removal"], row["lost_regions"], row["error"]) == ("tokens", [], None)
        assert (filled[number]["removal"], filled[number]["lost_regions"]) == ("fill", None)
        differ += row["final_states"] != filled[number]["final_states"]
        answered.update(table.tolist())
    assert differ > 0
    assert answered == {True, False}
    with pytest.raises(StudyError, match="removal was"):
        run("filled", removal="tokens")
    again = run("left", removal="tokens", baseline="white")
    assert same_rows(again, rows), "where nothing is filled, no baseline tells studies apart"


def test_a_region_that_wins_no_patch_is_in_its_row(tmp_path: Path) -> None:
    labels = np.ones((SIDE, SIDE), dtype=np.int64)
    labels[:, 13:] = 3
    labels[:, 12] = 2
    with pytest.warns(FocaLogicWarning, match=r"patch-0: region\(s\) 2 have most of no patch"):
        rows = run_study(patch_items(1), tiny_vit(), lambda _: labels, out=tmp_path, removal="tokens", outputs="logits")
    (row,) = rows.to_pylist()
    assert (row["lost_regions"], row["region_ids"], row["areas"]) == ([2], [1, 3], [0.5, 0.5])
    # The object is the left half, which is what region 1 has of whole patches.
    assert row["region_coverage"] == [1, 0]


def test_a_model_that_cannot_leave_regions_out_is_refused_before_the_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="removal='tokens'"):
        study(tmp_path / "run", removal="tokens")
    assert not (tmp_path / "run").exists()


def test_another_model_does_not_share_a_folder(tmp_path: Path) -> None:
    def with_weight(weight: float) -> torch.nn.Module:
        layer = torch.nn.Linear(3, 3, bias=False)
        layer.weight.data = torch.eye(3) * weight
        return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), layer)

    for _ in range(2):
        run_study(patch_items(2), with_weight(1.0), GRID, out=tmp_path)
    with pytest.raises(StudyError, match="model was"):
        run_study(patch_items(2), with_weight(1.5), GRID, out=tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": -1}, "batch must be a whole number"),
        ({"group": True}, "group must be a whole number"),
        ({"search": "fast"}, "unknown search"),
        ({"search": "ascending"}, "from which the irreducible ones cannot be had"),
        ({"criterion": "top"}, "unknown criterion"),
        ({"baseline": "pink"}, "baseline"),
        ({"removal": "away"}, "removal must be one of fill, tokens"),
        ({"match": "near"}, "'coverage' or by 'iou'"),
        ({"match": "iou:2"}, "above 0 and at most 1|above 0 and up to 1"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_the_folder_is_made(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        study(tmp_path / "run", **change)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", [{"loaders": -1}, {"ahead": 0}])
def test_loaders_must_be_possible(change: dict[str, int]) -> None:
    with pytest.raises(InputError, match="loaders must not be negative, and ahead at least 1"):
        Local(**change)


def test_ids_must_be_different_and_some(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two images have the id 'patch-0'"):
        run_study([*patch_items(2), *patch_items(1)], Brightest(), GRID, out=tmp_path)
    with pytest.raises(InputError, match="no image to study"):
        run_study([], Brightest(), GRID, out=tmp_path)


def test_readings_that_cannot_be_had_are_null(tmp_path: Path) -> None:
    whole = study(tmp_path / "i").to_pylist()
    minimal = study(tmp_path / "m", reading="minimal").to_pylist()
    smallest = study(tmp_path / "s", reading="smallest").to_pylist()
    for all_three, two, one in zip(whole, minimal, smallest, strict=True):
        assert two["irreducible_count"] is one["irreducible_count"] is one["minimal_count"] is None
        assert two["minimal_count"] == all_three["minimal_count"]
        for name in ("count", "size", "recall", "divergence"):
            assert one[f"smallest_{name}"] == two[f"smallest_{name}"] == all_three[f"smallest_{name}"]


KILLED = """
import sys, torch
torch.set_num_threads(1)
from captum_focalogic.demo import load_model
from captum_focalogic.study import run_study, scenes
run_study(scenes(int(sys.argv[2])), load_model(), out=sys.argv[1], group=4, batch=16, max_evaluations=64, shard_rows=1)
"""


def test_killed_at_random_moments_and_resumed_the_rows_are_the_same(tmp_path: Path) -> None:
    """SIGKILL at five moments: as soon as a shard is seen and while the next one is computed or written."""
    count, moments = 40, random.Random(4)
    cut_short = 0
    for _ in range(5):
        process = start_python(KILLED, str(tmp_path / "killed"), str(count))
        wait_for_shards(tmp_path / "killed", len(list((tmp_path / "killed").glob("rows-*"))), process)
        time.sleep(moments.uniform(0, 0.3))
        cut_short += process.poll() is None
        kill_process(process)
    assert cut_short >= 3, "the runs ended before they were killed"
    assert len(read_rows(tmp_path / "killed")) < count
    torch.set_num_threads(1)
    from captum_focalogic.demo import load_model

    how: dict[str, Any] = {"group": 4, "batch": 16, "max_evaluations": 64}
    resumed = run_study(scenes(count), load_model(), out=tmp_path / "killed", **how)
    whole = run_study(scenes(count), load_model(), out=tmp_path / "whole", shard_rows=1000, **how)
    assert same_rows(resumed, whole)
    assert resumed.column("id").to_pylist() == [f"scene-{seed}" for seed in range(count)]


def test_what_was_broken_is_tried_again_by_the_same_call(tmp_path: Path) -> None:
    whole = study(tmp_path / "whole")
    run = tmp_path / "run"
    before = study(run, broken=(0, 7, 8, 19))
    kept = study(run, retry=False)
    assert same_rows(before, kept)
    mended = study(run)
    assert same_rows(mended, whole)
    assert [row["index"] for row in mended.to_pylist() if row["tries"] == 2] == [0, 7, 8, 19]
    assert same_rows(study(run, broken=tuple(range(20))), whole)


def test_an_image_that_was_replaced_is_refused_or_explained_anew(tmp_path: Path) -> None:
    folder, out = tmp_path / "images", tmp_path / "run"
    folder.mkdir()
    for index in range(3):
        Image.new("RGB", (8, 8), (80 * index, 10, 10)).save(folder / f"{index}.png")

    def rows(**how: bool) -> list[str]:
        items = image_folder(folder)
        return run_study(items, Brightest(), GRID, False, out, **how).column("content").to_pylist()  # type: ignore[arg-type]

    before = rows()
    assert rows() == before
    Image.new("RGB", (8, 8), (1, 2, 3)).save(folder / "0.png")
    with pytest.raises(StudyError, match=r"0\.png"):
        rows()
    after = rows(redo_changed=True)
    assert after[0] != before[0]
    assert after[1:] == before[1:]
    assert rows() == after


def test_images_inside_of_files_that_were_replaced_are_noticed(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="needs datasets")

    def write(first: int) -> None:
        images = [Image.new("RGB", (8, 8), (shade, 10, 10)) for shade in (first, 80)]
        features = datasets.Features({"image": datasets.Image()})
        rows = datasets.Dataset.from_dict({"image": images}, features=features)
        rows.to_parquet(str(tmp_path / "rows.parquet"))
        rows.save_to_disk(str(tmp_path / f"saved{first}"))
        shutil.rmtree(tmp_path / "saved", ignore_errors=True)
        shutil.move(tmp_path / f"saved{first}", tmp_path / "saved")

    def contents(kind: str, **how: bool) -> list[str]:
        items = listed(tmp_path / "rows.parquet") if kind == "parquet" else hugging_face(tmp_path / "saved")
        table = run_study(items, Brightest(), GRID, False, tmp_path / f"run-{kind}", **how)  # type: ignore[arg-type]
        assert table.column("error").null_count == 2
        return table.column("content").to_pylist()

    write(1)
    for kind in ("parquet", "saved"):
        before = contents(kind)
        assert None not in before
        assert contents(kind) == before
        write(2)
        with pytest.raises(StudyError, match="have changed"):
            contents(kind)
        after = contents(kind, redo_changed=True)
        assert after[0] != before[0]
        assert after[1] == before[1]
        write(1)


@pytest.mark.parametrize("field", ["model", "images", "criterion"])
def test_settings_that_were_edited_are_refused(tmp_path: Path, field: str) -> None:
    study(tmp_path, 2)
    path = tmp_path / "settings.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, field: "other"}))
    for again in (lambda: study(tmp_path, 2), lambda: read_settings(tmp_path)):
        with pytest.raises(StudyError, match=f"{field}.*checksum differs"):
            again()
    path.write_text(json.dumps({name: value for name, value in settings.items() if name != "checksums"}))
    with pytest.raises(StudyError, match="with their checksums"):
        read_settings(tmp_path)


def wrong_size(image: torch.Tensor, label: str, name: str) -> np.ndarray:
    return np.ones((3, 5), dtype=np.bool_)


@pytest.mark.parametrize("loaders", [0, 2])
def test_masks_that_fit_no_image_stop_a_study_before_its_first_row(tmp_path: Path, loaders: int) -> None:
    """Nothing is asked, no row is written, and the folder takes the study once it is put right."""
    asked = []

    def model(images: torch.Tensor) -> torch.Tensor:
        asked.append(len(images))
        return Brightest()(images)

    how: dict[str, Any] = {"out": tmp_path, "group": 4, "engine": Local(loaders=loaders)}
    with pytest.raises(InputError, match=r"nothing was asked yet: each of the first 4 images.*the mask is 5x3 pixels"):
        run_study(patch_items(8), model, GRID, wrong_size, **how)
    assert asked == []
    assert read_rows(tmp_path).num_rows == 0
    rows = run_study(patch_items(8), model, GRID, True, **how)
    assert rows.num_rows == 8
    assert rows.column("error").null_count == 8


def test_images_that_cannot_be_read_cost_their_rows_wherever_they_are(tmp_path: Path) -> None:
    rows = study(tmp_path, 8, broken=(0, 1, 2, 3)).to_pylist()
    assert [row["error"] is not None for row in rows] == [True] * 4 + [False] * 4


def test_truth_that_is_not_there_or_matches_nothing_is_told_at_once(tmp_path: Path) -> None:
    with pytest.warns(FocaLogicWarning, match="none of the first 4 images has ground truth by .*'patch-0' has none"):
        run_study(patch_items(8), Brightest(), GRID, lambda image, label, name: None, tmp_path / "a", group=4)
    pixel = np.zeros((SIDE, SIDE), dtype=np.bool_)
    pixel[0, 0] = True
    with pytest.warns(FocaLogicWarning, match=r"in the first 4 images no region matches .*by coverage:0\.5"):
        run_study(patch_items(8), Brightest(), GRID, lambda image, label, name: pixel, tmp_path / "b", group=4)


def test_classes_that_the_model_does_not_have_stop_a_study_before_its_first_row(tmp_path: Path) -> None:
    items = [Item(f"patch-{number}", patch_items(8)[number].read, number) for number in range(8)]
    with pytest.raises(InputError, match=r"the model has 3 classes, 0 to 2, but 5 image.*'patch-3' is of class 3"):
        run_study(items, Brightest(), GRID, out=tmp_path, group=4)
    assert read_rows(tmp_path).num_rows == 0


def test_a_study_takes_names_where_the_command_line_does(tmp_path: Path) -> None:
    save_images(tmp_path / "data", 4, (".",))
    (tmp_path / "masks").mkdir()
    for number in range(4):
        Image.fromarray(np.eye(SIDE, dtype=np.uint8)).save(tmp_path / "masks" / f"{number:03d}.png")
    named = run_study(
        tmp_path / "data", "demo", "grid:2x3", f"masks:{tmp_path / 'masks'}", tmp_path / "run", max_evaluations=20
    )
    assert named.num_rows == 4
    assert named.column("truth_area").null_count == 0
    assert run_study("scenes:2", "demo", out=tmp_path / "scenes", max_evaluations=20).num_rows == 2
