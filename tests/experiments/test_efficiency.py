"""The experiment on pruning: what is counted by hand, and small real runs of both sizes."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from makers import draw_photos
from studies import TINY, table_of, tiny_imagenet

from captum_focalogic.experiments import Embedded, efficiency, run_experiment
from captum_focalogic.experiments.efficiency import BUDGET, Pruning, prunings
from captum_focalogic.experiments.framework import Result
from captum_focalogic.search import Beam, Exhaustive
from captum_focalogic.study import read_rows


def test_the_settings_are_the_papers() -> None:
    tried = prunings()
    assert {one.regions for one in tried} == {6, 9, 12, 20, 30}
    assert {one.width for one in tried} == {1, 2, 5, 10, 20, None}
    assert {one.regions for one in tried if one.width is None} == {6, 9, 12}
    assert {one.regions for one in tried if one.scope == "level"} == {20, 30}
    assert len({one.name for one in tried}) == len(tried)
    assert all(2**one.regions <= one.budget == BUDGET for one in tried if one.width is None)
    assert {one.budget for one in tried if one.regions > 12} == {BUDGET // 2}


def test_settings_make_their_searches() -> None:
    assert Pruning(9, None).search == Exhaustive()
    assert Pruning(9, 5).search == Beam(5)
    assert Pruning(9, 5, "level").search == Beam(5, scope="level")
    assert Pruning(9, 5, "level").name == "9 regions, beam 5 a level"


def test_evaluations_saved_pairs_images_by_id() -> None:
    first = Result("a", table_of({"id": [f"{n}" for n in range(11)], "evaluations": [100] * 10 + [None]}))
    second = Result("b", table_of({"id": [f"{n}" for n in range(10, -1, -1)], "evaluations": [9, *range(10, 110, 10)]}))
    found = efficiency.evaluations_saved(first, second)
    # Image 0 took 100 of 100, image 9 took 10 of 100; image 10 failed in the first study.
    assert found.count == 10
    assert found.value == pytest.approx(np.mean([1 - n / 100 for n in range(10, 110, 10)]))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("efficiency")
    config = Embedded(images=10, settings=TINY)
    outcome, written = run_experiment("efficiency", config, folder)
    again, _ = run_experiment("efficiency", config, folder)
    return folder, outcome, written, again


def test_the_table_says_what_searches_cost(small) -> None:
    folder, outcome, _, again = small
    assert outcome.tables[0].rows == again.tables[0].rows
    lines = list(csv.DictReader((folder / "efficiency.csv").read_text().splitlines()))
    assert lines[0]["time"] == "1.00"
    for line in lines:
        rows = read_rows(folder / "runs" / line["search"])
        assert len(rows) == 10
        evaluations = rows.column("evaluations").to_pylist()
        assert line["evaluations"] == f"{np.mean(evaluations):,.0f}"
        if line["search"].startswith("4"):
            assert max(evaluations) <= 16
        assert line["stopped"] == "0%"


def test_a_beam_as_wide_as_the_image_changes_nothing_and_a_narrow_one_saves(small) -> None:
    folder, outcome, *_ = small
    wide, off = (read_rows(folder / "runs" / f"6 regions, {name}").to_pylist() for name in ("beam 20", "off"))
    assert [row["final_states"] for row in wide] == [row["final_states"] for row in off]
    assert {found.source for found in outcome.findings} == set(efficiency.EXPERIMENT.judges)
    verdicts = {(found.claim, found.reading): found.verdict for found in outcome.findings}
    assert verdicts["beam 20 saves evaluations with 6 regions (share)", ""] == "not confirmed"
    assert verdicts["4 regions in place of 6 save evaluations without a beam (share)", ""] == "confirmed"
    narrow = read_rows(folder / "runs" / "6 regions, beam 1").to_pylist()
    for few, every in zip(narrow, off, strict=True):
        assert set(few["final_states"]) <= set(every["final_states"])
        assert few["evaluations"] <= every["evaluations"]


def test_beams_by_level_are_held_against_nothing(small) -> None:
    _, outcome, *_ = small
    assert not any("14 regions" in found.claim for found in outcome.findings)
    assert any(line[0] == "14 regions, beam 1 a level" for line in outcome.tables[0].rows)


def test_the_imagenet_size_runs(tmp_path: Path) -> None:
    out, settings = tmp_path / "out", replace(TINY, regions=(3,), widths=(1,))
    run_experiment("efficiency", tiny_imagenet(draw_photos(tmp_path / "data", 2), settings=settings), out)
    rows = read_rows(out / "runs" / "3 regions, off").to_pylist()
    assert [row["error"] for row in rows] == [None, None]
    assert all(row["num_regions"] == 3 and row["evaluations"] <= 8 for row in rows)
    assert "defined for fewer than 10 images" in (out / "efficiency.md").read_text()


def _searched(regions: list[int], evaluations: list[int], width: int | None) -> Result:
    ids = [f"{number}" for number in range(len(regions))]
    return Result(f"{width}", table_of({"id": ids, "num_regions": regions, "evaluations": evaluations}))


@pytest.mark.parametrize(("power", "verdict"), [(1, "confirmed"), (2, "not confirmed")])
def test_growth_with_the_regions_is_an_exponent(power: int, verdict: str) -> None:
    """Evaluations are 3 M^power for M regions: the slope of their logarithms is the power."""
    by = {Pruning(count, 10): _searched([count] * 12, [3 * count**power] * 12, 10) for count in (6, 8, 12)}
    found = efficiency._linear(by)
    assert found.verdict == verdict
    assert float(found.evidence.split()[0]) == pytest.approx(power, abs=1e-3)


def test_an_order_of_magnitude_is_nine_tenths() -> None:
    def saved(after: int) -> str:
        by = {
            Pruning(8, None): _searched([8] * 12, [1_000] * 12, None),
            Pruning(8, 10): _searched([8] * 12, [after] * 12, 10),
        }
        verdicts = {found.claim: found.verdict for found in efficiency._costs(by)}
        return verdicts["a beam of 10 saves an order of magnitude with 8 regions (share)"]

    assert (saved(50), saved(150)) == ("confirmed", "not confirmed")


def test_growth_is_not_told_from_one_number_of_regions() -> None:
    found = efficiency._linear({Pruning(6, 10): _searched([6] * 12, [20] * 12, 10)})
    assert found.verdict == "not testable here"
