"""The experiment beside other methods: kept comparisons, shares with intervals, and small real runs of both sizes."""

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from makers import draw_photo_masks, draw_photos
from scipy import stats
from studies import TINY, tiny_imagenet

from captum_focalogic.compare import Measures, Method, MethodResult, characteristics, figure, summarise
from captum_focalogic.demo.network import load_model
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.errors import InputError
from captum_focalogic.experiments import Embedded, baselines, run_experiment
from captum_focalogic.experiments.baselines import SMALLEST, ComparedImage, ComparisonSettings, Series, compare_all
from captum_focalogic.experiments.framework import Settings, Workspace
from captum_focalogic.experiments.scenes import scene_items, scene_plan
from captum_focalogic.study import Item

FEW = tuple(
    method
    for method in ComparisonSettings().methods
    if not isinstance(method, str) or method in ("FocaLogic", "GradCAM", "FeatureAblation", "SAG")
)


def _images(count: int) -> list[ComparedImage]:
    return [ComparedImage(item, draw_scene(seed, 1 + seed % 2).rule) for seed, item in enumerate(scene_items(count))]


def _pixels(series: Series) -> bytes:
    sink = io.BytesIO()
    figure(series.comparisons).savefig(sink, format="raw", dpi=60)
    return sink.getvalue()


def test_what_is_read_back_is_what_was_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, settings = scene_plan(load_model(), "demo"), ComparisonSettings(methods=FEW, seeds=2)
    first = compare_all(Workspace(tmp_path), "few", plan, _images(2), settings)
    monkeypatch.setattr(baselines, "compare", lambda *_, **__: pytest.fail("everything was there"))
    second = compare_all(Workspace(tmp_path), "few", plan, _images(2), settings)
    assert second.name == "few"
    assert summarise(second.comparisons) == summarise(first.comparisons)
    assert characteristics(second.comparisons) == characteristics(first.comparisons)
    for one, other in zip(first.comparisons, second.comparisons, strict=True):
        assert [result.chosen.tolist() for result in one.results] == [
            result.chosen.tolist() for result in other.results
        ]
        assert (one["GradCAM"].attribution.heat_map == other["GradCAM"].attribution.heat_map).all()
        assert one.focus.expression == other.focus.expression
        assert (one.image == other.image).all()
    assert _pixels(first) == _pixels(second)


def test_comparisons_on_other_terms_are_made_anew(tmp_path: Path) -> None:
    plan, images = scene_plan(load_model(), "demo"), _images(1)
    ablation = ComparisonSettings(methods=("FocaLogic", "FeatureAblation"))
    compare_all(Workspace(tmp_path), "few", plan, images, ablation)
    (path,) = (tmp_path / "compared" / "few").iterdir()
    before = path.read_bytes()
    compare_all(Workspace(tmp_path), "few", plan, images, ablation)
    assert path.read_bytes() == before
    bare = ComparisonSettings(methods=("FocaLogic", "FeatureAblation"), bare=True)
    compare_all(Workspace(tmp_path), "few", plan, images, bare)
    assert json.loads(path.read_bytes())["identity"]["bare"]


def test_both_readings_take_part(tmp_path: Path) -> None:
    series = compare_all(
        Workspace(tmp_path), "few", scene_plan(load_model(), "demo"), _images(2), ComparisonSettings(methods=FEW)
    )
    for comparison in series.comparisons:
        every, least = comparison["FocaLogic"], comparison[SMALLEST]
        assert least.measures.evaluations < every.measures.evaluations
        assert (
            least.chosen.sum()
            == every.chosen.sum()
            == every.attribution.focus.smallest().final_states.sum(axis=1).min()
        )
        assert comparison.skipped["SAG"]


def _torn() -> None:
    raise OSError("torn")


def test_one_bad_image_is_named_and_costs_no_other(tmp_path: Path) -> None:
    plan, images = scene_plan(load_model(), "demo"), [ComparedImage(Item("torn", _torn)), *_images(1)]
    settings = ComparisonSettings(methods=("FocaLogic",))
    series = compare_all(Workspace(tmp_path), "few", plan, images, settings)
    assert dict(series.failed) == {"torn": "OSError: torn"}
    assert [comparison.title for comparison in series.comparisons] == ["scene-0"]
    with pytest.raises(InputError, match="none of 1 images"):
        compare_all(Workspace(tmp_path / "other"), "few", plan, images[:1], settings)


def test_gradients_are_of_no_use_on_a_bare_function(tmp_path: Path) -> None:
    settings = ComparisonSettings(methods=("FocaLogic", "GradCAM"), bare=True)
    series = compare_all(Workspace(tmp_path), "bare", scene_plan(load_model(), "demo"), _images(1), settings)
    assert list(series.comparisons[0].skipped) == ["GradCAM"]


def test_shares_have_exact_intervals() -> None:
    # With 10 of 10, the lower bound p solves p^10 = 0.025.
    assert baselines.share(10, 10) == f"10 of 10 images, [{0.025**0.1:.3f}, 1.000]"
    low, high = stats.beta.ppf([0.025], 3, 8)[0], stats.beta.ppf([0.975], 4, 7)[0]
    assert baselines.share(3, 10) == f"3 of 10 images, [{low:.3f}, {high:.3f}]"


def test_a_search_that_found_nothing_has_no_choice_of_its_own(tmp_path: Path) -> None:
    # Two evaluations: the whole image, which is valid, and one more; no state can have been found to be final.
    plan = scene_plan(load_model(), "demo", max_evaluations=2)
    series = compare_all(Workspace(tmp_path), "few", plan, _images(1), ComparisonSettings(methods=("FocaLogic",)))
    (result,) = series.comparisons[0].results
    assert len(result.attribution.focus.final_states) == 0
    assert result.measures.sufficient, "the ranking that is measured in its place happens to be enough"
    assert baselines._own([result], "sufficient") == [False]


def test_always_means_on_every_image() -> None:
    assert baselines._always("claim", "", [True] * 10).verdict == "confirmed"
    assert baselines._always("claim", "", [True] * 9 + [False]).verdict == "not confirmed"
    assert baselines._always("claim", "", [True] * 9).verdict == "not testable here"


def test_the_embedded_size_runs_and_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Embedded(images=8, settings=replace(TINY, methods=FEW))
    outcome, written = run_experiment("baselines", config, tmp_path)
    monkeypatch.setattr(baselines, "compare", lambda *_, **__: pytest.fail("everything was there"))
    again, _ = run_experiment("baselines", config, tmp_path)
    assert [table.rows for table in again.tables] == [table.rows for table in outcome.tables]
    assert {found.source for found in outcome.findings} == set(baselines.EXPERIMENT.judges)
    verdicts = {(found.claim, found.reading): found.verdict for found in outcome.findings}
    assert verdicts["FocaLogic's regions keep the prediction", "irreducible"] == "confirmed"
    assert verdicts["none of FocaLogic's regions can be dropped", "smallest"] == "confirmed"
    assert (
        verdicts["FocaLogic needs outputs alone: a bare function gives the same states", "irreducible"] == "confirmed"
    )
    assert any("SAG was skipped" in note for note in outcome.notes)
    assert {path.name for path in written} >= {"baselines.md", "baselines.svg", "baselines-3.csv"}


def test_the_imagenet_size_runs(tmp_path: Path) -> None:
    methods = ("FocaLogic", "GradCAM", "FeatureAblation")
    settings = Settings(methods=methods, seeds=1)
    data, masks, out = draw_photos(tmp_path / "data", 1), draw_photo_masks(tmp_path / "masks", 1), tmp_path / "out"
    config = tiny_imagenet(data, segmenter="grid:1x3", truth=f"masks:{masks}", settings=settings)
    run_experiment("baselines", config, out)
    kept = sorted((out / "compared" / "equal budget").iterdir())
    assert len(kept) == 1
    fields = json.loads(kept[0].read_text())
    assert [result["name"] for result in fields["results"]] == list(methods)
    assert all(result["measures"]["precision"] is not None for result in fields["results"])
    assert "compared on fewer than 10 images" in (out / "baselines.md").read_text()


def _measured(name: str, explanations: int, precision: float) -> MethodResult:
    measures = Measures(1, 0.0, 0.1, True, True, True, explanations, 0.5, 0.5, precision=precision)
    return MethodResult(Method(name, lambda _: None), None, np.zeros(1, dtype=bool), measures)


def test_alternatives_and_precision_are_compared_image_by_image() -> None:
    def series(ours: float, gradcam: float) -> Series:
        results = [
            _measured("FocaLogic", 3, ours),
            _measured("GradCAM", 1, gradcam),
            _measured("LIME", 2, 0.5),
        ]
        return Series("own budget", [SimpleNamespace(results=results)] * 12, {})

    several = baselines._several(series(0.9, 0.4), "FocaLogic", "irreducible")
    assert (several.verdict, several.evidence) == ("confirmed", "+1.000 [+1.000, +1.000], 12 images")
    assert baselines._aligned(series(0.9, 0.4), "FocaLogic", "irreducible").verdict == "confirmed"
    worse = baselines._aligned(series(0.9, 0.95), "FocaLogic", "irreducible")
    assert worse.verdict == "not confirmed"
    assert worse.evidence == "holds against 1 of 2 (LIME); GradCAM -0.050 [-0.050, -0.050]"
