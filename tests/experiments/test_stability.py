"""The experiment on segmentation: its settings, and small real runs of both sizes."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as given_by
from makers import draw_photo_masks, draw_photos
from studies import TINY, disc_study, rows_of, tiny_imagenet

from captum_focalogic.errors import InputError
from captum_focalogic.experiments import Embedded, run_experiment, stability
from captum_focalogic.experiments.segmentations import (
    embedded_segmentations,
)
from captum_focalogic.experiments.stability import cuts, lost, object_overlaps, rematched
from captum_focalogic.ground_truth import DEFAULT_MATCH, Match
from captum_focalogic.study import read_rows, same_rows


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory):
    folder, config = tmp_path_factory.mktemp("stability"), Embedded(images=10, settings=TINY)
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
    assert {found.source for found in outcome.findings} == set(stability.EXPERIMENT.judges)
    assert ("recall does not stay under stress (grid 3x3)", "irreducible") in claims
    stays = {
        found.claim: found.verdict
        for found in outcome.findings
        if found.reading == "smallest" and "set otherwise" in found.claim
    }
    # The embedded model looks at the rule's objects whatever the background is cut into.
    assert stays["precision stays when the same segmenter is set otherwise"] == "confirmed"


def test_background_cells_leave_the_image_as_it_is() -> None:
    own, whole, fine, *_ = embedded_segmentations()
    assert (whole.scenes.background_cells, fine.scenes.background_cells) == (1, 3)
    items = [stability.scene_items(1, way.scenes, parts=True)[0].read() for way in (own, whole, fine)]
    assert all(bool((items[0].image == item.image).all()) for item in items)
    objects = items[0].label_map.max() - 4
    assert [item.label_map.max() for item in items] == [objects + 4, objects + 1, objects + 9]
    assert all(np.array_equal(items[0].truth, item.truth) for item in items)
    assert items[0].truth.ndim == 3


def test_the_imagenet_size_runs(tmp_path: Path) -> None:
    data, masks = draw_photos(tmp_path / "data", 2), draw_photo_masks(tmp_path / "masks", 2)
    out, settings = tmp_path / "out", replace(TINY, segmentations=())
    run_experiment("stability", tiny_imagenet(data, truth=f"masks:{masks}", settings=settings), out)
    rows = read_rows(out / "runs" / "grid 2x3").to_pylist()
    assert [row["num_regions"] for row in rows] == [6, 6]
    assert all(row["error"] is None and row["region_iou"] for row in rows)
    assert "not testable here" in (out / "stability.md").read_text()


@pytest.mark.parametrize("reading", ["irreducible", "minimal", "smallest"])
@pytest.mark.parametrize("rule", ["iou:0.3", "iou:0.25", "coverage:1", "coverage:0.2"])
def test_rematched_rows_are_those_of_a_study_with_that_rule(tmp_path, reading, rule):
    usual = disc_study(tmp_path / "usual", DEFAULT_MATCH, reading)
    other = disc_study(tmp_path / "other", Match.from_text(rule), reading)
    assert same_rows(rematched(usual, Match.from_text(rule)), other)
    assert same_rows(rematched(other, DEFAULT_MATCH), usual)


def test_the_rule_matters_in_these_studies(tmp_path):
    usual = disc_study(tmp_path / "usual", DEFAULT_MATCH, "irreducible")
    assert not same_rows(rematched(usual, Match("iou", 0.9)), usual)


def test_precision_and_recall_by_hand():
    # Three regions of areas 0.5, 0.25, 0.25; final states {first}, {second, third}.
    rows = rows_of(iou=[0.75, 0.6, 0.1], coverage=[1.0, 0.9, 0.2], areas=[0.5, 0.25, 0.25], states=[0b001, 0b110])
    (row,) = rematched(rows, Match("iou", 0.7)).to_pylist()
    assert row["truth_regions"] == [1]
    assert row["truth_area"] == 0.5
    assert row["irreducible_precision"] == 0.5  # 1 and 0
    assert row["irreducible_recall"] == 0.5
    assert (row["smallest_precision"], row["smallest_recall"]) == (1.0, 1.0)
    (row,) = rematched(rows, Match("iou", 0.5)).to_pylist()
    assert row["truth_regions"] == [1, 2]
    assert row["irreducible_precision"] == 0.75  # 1 and one half
    assert row["irreducible_recall"] == pytest.approx(0.5)  # two thirds and one third
    assert row["smallest_recall"] == pytest.approx(2 / 3)


def test_without_a_match_recall_is_undefined_and_counted():
    rows = rows_of(iou=[0.75, 0.6, 0.1], coverage=[1.0, 0.9, 0.2], areas=[0.5, 0.25, 0.25], states=[0b001])
    again = rematched(rows, Match("iou", 0.9))
    (row,) = again.to_pylist()
    assert row["irreducible_precision"] == 0
    assert math.isnan(row["irreducible_recall"])
    assert lost(again) == 1
    assert lost(rows) == 0


def test_images_without_truth_are_left_alone():
    rows = rows_of(iou=None, coverage=None, areas=[0.5, 0.25, 0.25], states=[0b001])
    assert same_rows(rematched(rows, Match("iou", 0.7)), rows)
    assert math.isnan(lost(rows))
    assert len(object_overlaps(rows)) == 0


def test_overlaps_of_regions_on_the_object():
    rows = rows_of(iou=[0.75, 0.6, 0.1], coverage=[0.5, 0.9, 0.49], areas=[0.5, 0.25, 0.25], states=[0b001])
    assert object_overlaps(rows).tolist() == [0.6, 0.75]
    assert object_overlaps(rows, 0.9).tolist() == [0.6]


@settings(max_examples=60, deadline=None)
@given(given_by.lists(given_by.integers(0, 31), min_size=0, max_size=8, unique=True))
def test_cuts_against_sets(codes):
    states = np.array([[code >> bit & 1 for bit in range(5)] for code in codes], dtype=bool).reshape(-1, 5)
    sets = [frozenset(np.flatnonzero(state).tolist()) for state in states]
    found = {
        name: {frozenset(np.flatnonzero(row).tolist()) for row in rows}
        for name, rows in cuts(states, "irreducible").items()
    }
    assert found["irreducible"] == set(sets)
    assert found["minimal"] == {one for one in sets if not any(other < one for other in sets)}
    assert found["smallest"] == {one for one in sets if len(one) == min(map(len, sets))}


def test_cuts_of_other_readings():
    states = np.eye(3, dtype=bool)
    assert set(cuts(states, "minimal")) == {"minimal", "smallest"}
    assert set(cuts(states, "smallest")) == {"smallest"}
    with pytest.raises(InputError, match="reading"):
        cuts(states, "largest")
