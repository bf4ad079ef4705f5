"""The experiment on segmentation: its settings, and small real runs of both sizes."""

import csv
from pathlib import Path

import numpy as np
import pytest
from drawn_pictures import draw_masks, draw_pictures

from captum_focalogic.cli import main
from captum_focalogic.cli.experimenting import CommandLine
from captum_focalogic.experiments import Embedded, ImageNet, run_experiment, stability
from captum_focalogic.experiments.segmentations import (
    Segmentation,
    embedded_segmentations,
    imagenet_segmentations,
    merging_steps,
)
from captum_focalogic.regions import labels_from_masks
from captum_focalogic.segmenters import Slic
from captum_focalogic.study import read_rows


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


def _three_ways() -> list[Segmentation]:
    slic = Segmentation("slic 6", "slic:6", "stress", "own regions", lambda: Slic(6))
    return [*embedded_segmentations()[:2], slic]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory):
    folder, config = tmp_path_factory.mktemp("stability"), Embedded(images=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stability, "embedded_segmentations", _three_ways)
        patch.setattr(stability, "COUNTED_SIZE", 96)
        outcome, written = run_experiment("stability", config, folder)
        before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*.parquet")}
        again, _ = run_experiment("stability", config, folder)
        after = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*.parquet")}
    return folder, outcome, written, again, before == after


def test_the_files_are_written_and_a_second_run_asks_no_model(small) -> None:
    _, outcome, written, again, untouched = small
    assert {path.name for path in written} >= {"stability.md", "stability.csv", "stability.svg", "stability-5.csv"}
    assert untouched
    assert [table.rows for table in again.tables] == [table.rows for table in outcome.tables]


def test_the_table_holds_the_rows_means(small) -> None:
    folder, *_ = small
    lines = list(csv.reader((folder / "stability.csv").read_text().splitlines()))
    head, body = lines[0], lines[1:]
    for line in body:
        rows = read_rows(folder / "runs" / line[0])
        values = np.array(rows.column(f"{line[1]}_recall").to_pylist(), dtype=float)
        assert line[head.index("recall")].startswith(f"{np.nanmean(values):.3f}")
        assert float(line[head.index("regions")]) == pytest.approx(
            np.mean(rows.column("num_regions").to_pylist()), abs=0.0501
        )


def test_objects_are_matched_one_by_one(small) -> None:
    folder, outcome, *_ = small
    rows = read_rows(folder / "runs" / "own regions").to_pylist()
    for row in rows:
        on = [iou for iou, share in zip(row["region_iou"], row["region_coverage"], strict=True) if share >= 0.5]
        assert on == [1.0] * len(on)
        assert len(on) >= 2
    (own, *_) = [line for line in outcome.tables[2].rows if line[0] == "own regions"]
    assert own[2:] == ("1.00", "1.00 to 1.00", "100%")


def test_the_rule_of_the_threshold_table_reproduces_the_runs(small) -> None:
    _, outcome, *_ = small
    lines = {(line[0], line[1]): line[3:] for line in outcome.tables[3].rows}
    main_table = {(line[0], line[1]): line[-3:-1] for line in outcome.tables[0].rows}
    # Each region of these scenes is an object or none of it, so that no threshold changes anything.
    wanted = (*main_table["own regions", "irreducible"], *main_table["own regions", "smallest"])
    assert lines == {("own regions", f"{kind} 0.3 to 0.9"): wanted for kind in ("iou", "coverage")}


def test_every_kind_of_change_is_decided_for_both_readings(small) -> None:
    _, outcome, *_ = small
    claims = [(found.claim, found.reading) for found in outcome.findings]
    assert ("precision stays when the same segmenter is set otherwise", "smallest") in claims
    assert ("recall does not stay under stress (slic 6)", "irreducible") in claims
    stays = {
        found.claim: found.verdict
        for found in outcome.findings
        if found.reading == "smallest" and "set otherwise" in found.claim
    }
    # The embedded model looks at the rule's objects whatever the background is cut into.
    assert stays["precision stays when the same segmenter is set otherwise"] == "confirmed"


def test_background_cells_leave_the_picture_as_it_is() -> None:
    own, whole, fine, *_ = embedded_segmentations()
    assert (whole.scenes.background_cells, fine.scenes.background_cells) == (1, 3)
    items = [stability.scene_items(1, way.scenes, parts=True)[0].read() for way in (own, whole, fine)]
    assert all(bool((items[0].image == item.image).all()) for item in items)
    objects = items[0].label_map.max() - 4
    assert [item.label_map.max() for item in items] == [objects + 4, objects + 1, objects + 9]
    assert all(np.array_equal(items[0].truth, item.truth) for item in items)
    assert items[0].truth.ndim == 3


def _config(**more) -> ImageNet:
    return ImageNet(finder=CommandLine(), data="nowhere", **more)


def test_segment_anything_is_set_as_in_the_paper() -> None:
    ways = imagenet_segmentations(_config())
    assert [(way.name, way.kind) for way in ways] == [
        ("sam vit_h", "reference"),
        ("sam vit_h, 9 points", "setting"),
        ("sam vit_h, 15 points", "setting"),
        ("slic 8", "segmenter"),
        ("slic 12", "segmenter"),
        ("slic 16", "segmenter"),
        ("grid 3x3", "stress"),
    ]
    assert next(iter(merging_steps("sam:vit_h"))) == "15 points a side"


def test_a_segmenter_with_a_number_is_given_fewer_and_more() -> None:
    ways = imagenet_segmentations(_config(segmenter="slic:12"))
    assert [(way.name, way.kind) for way in ways] == [
        ("slic 12", "reference"),
        ("slic 8", "setting"),
        ("slic 16", "setting"),
        ("grid 3x3", "stress"),
    ]
    assert all(way.against == "slic 12" for way in ways)
    assert ways[1].cut().n_segments == 8


class _FourMasks:
    """Stands in for Segment Anything: always the same masks, one of them tiny."""

    def __init__(self, network, min_area, **options):
        self.min_area, self.options = min_area, options

    def __call__(self, image):
        masks = np.zeros((4, 100, 100), dtype=bool)
        masks[0, :60], masks[1, :30], masks[2, 90:], masks[3, :1, :3] = True, True, True, True
        return labels_from_masks(masks[: 4 if self.options["points_per_side"] == 15 else 3], self.min_area)


def test_merging_is_counted_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    import captum_focalogic.integrations.segment_anything as sam

    monkeypatch.setattr(sam, "SamSegmenter", _FourMasks)
    counted = {name: len(np.unique(cut()(None))) for name, cut in merging_steps("sam:vit_b").items()}
    # Three masks, a tiny one on top, and what no mask covers.
    assert counted == {"15 points a side": 5, "merged below 0.001": 4, "9 points": 4, "9 points, merged": 4}


@pytest.mark.parametrize("segmenter", [None, "grid:2x3"])
def test_without_masks_felzenszwalb_is_counted(segmenter) -> None:
    steps = merging_steps(segmenter)
    assert [cut().min_area for cut in steps.values()] == [0.0, 1e-3, 0.0, 1e-3]
    assert [cut().scale for cut in steps.values()] == [100.0, 100.0, 200.0, 200.0]
    assert all(cut().n_segments is None for cut in steps.values())


def test_the_imagenet_size_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, masks = draw_pictures(tmp_path / "data", 2), draw_masks(tmp_path / "masks", 2)

    def few(config):
        return [way for way in imagenet_segmentations(config) if way.name.startswith("grid")][:1]

    monkeypatch.setattr(stability, "imagenet_segmentations", few)
    out = tmp_path / "out"
    options = ("--size", "imagenet", "--data", data, "--model", "torchvision:resnet18", "--weights", "random")
    options += ("--segmenter", "grid:2x3", "--truth", f"masks:{masks}", "--out", out, "--no-progress")
    assert run("experiment", "stability", *options) == 0
    rows = read_rows(out / "runs" / "grid 2x3").to_pylist()
    assert [row["num_regions"] for row in rows] == [6, 6]
    assert all(row["error"] is None and row["region_iou"] for row in rows)
    assert "not testable here" in (out / "stability.md").read_text()
