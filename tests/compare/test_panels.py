"""Images of comparisons: what has its colours, what is said below, and the files they are written to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from tiny_models import LABELS, Cells, Rule

from captum_focalogic.compare import Comparison, compare, figure, panel, save_figure, verdict
from captum_focalogic.compare.panels import smoothed, top_pixels
from captum_focalogic.errors import InputError


def test_top_pixels() -> None:
    heat = np.array([[1.0, 3.0], [3.0, 2.0]])
    assert top_pixels(heat, 0.5).tolist() == [[False, True], [True, False]]
    assert top_pixels(heat, 0.25).tolist() == [[False, True], [False, False]]
    assert top_pixels(heat, 0.0).sum() == 1


def test_smoothing_joins_dots_and_keeps_the_mass() -> None:
    heat = np.zeros((80, 80))
    heat[20:40:2, 20:40:2] = 1.0
    blurred = smoothed(heat)
    assert blurred.sum() == pytest.approx(heat.sum(), rel=0.01)
    assert ndimage.label(top_pixels(blurred, 0.05))[1] == 1 < ndimage.label(top_pixels(heat, 100 / 6400))[1]


def test_the_set_that_is_judged_is_shown_in_its_own_colours() -> None:
    colours = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.25 + 0.75
    compared = compare(Rule(), colours, ["FocaLogic"], feature_mask=LABELS, baselines=0)
    result = compared["FocaLogic"]
    assert result.chosen.tolist() == [False, True, True, False]
    assert compared.focus is not None
    assert result.chosen.tolist() == compared.focus.final_states[compared.focus.strongest[0]].tolist()
    image = np.asarray(panel(compared, result)).astype(int)
    size = image.shape[0] // 4
    for row, column in np.ndindex(4, 4):
        shown, own = image[row * size + size // 2, column * size + size // 2], compared.image[row, column].astype(int)
        if row < 2:
            assert abs(shown - own).max() <= 1, "regions 5 and 7 are as they are"
        else:
            assert np.ptp(shown) == 0, "the rest has no colour"
            assert shown.max() < 160


def test_a_finer_heat_map_shows_its_regions_and_outlines_its_pixels() -> None:
    white = torch.ones(3, 4, 4)
    compared = compare(Cells(), white, ["IntegratedGradients"], feature_mask=LABELS, baselines=0, target=1)
    result = compared["IntegratedGradients"]
    image = np.asarray(panel(compared, result)).astype(int)
    size = image.shape[0] // 4
    top = top_pixels(smoothed(result.attribution.heat_map), result.measures.area)
    assert top.any()
    assert not top.all()
    yellow = (image[..., 0] > 200) & (image[..., 2] < 60)
    for row, column in np.ndindex(4, 4):
        middle = image[row * size + size // 2, column * size + size // 2]
        judged = LABELS[row, column] in compared.decision.region_ids[result.chosen]
        assert (middle > 250).all() if judged else middle.max() < 160
        cell = yellow[row * size : (row + 1) * size, column * size : (column + 1) * size]
        assert not cell.any() or top[row, column]
    assert yellow.any()


@pytest.mark.parametrize(
    ("sufficient", "minimal", "explanations", "said"),
    [
        (True, True, 1, "enough"),
        (True, True, 4, "enough, 1 of 4 ways"),
        (True, False, 1, "more than enough"),
        (False, False, 0, "not enough"),
    ],
)
def test_what_is_said_below_a_panel(
    compared: Comparison, sufficient: bool, minimal: bool, explanations: int, said: str
) -> None:
    result = compared["FeatureAblation"]
    measures = replace(result.measures, sufficient=sufficient, minimal=minimal, explanations=explanations)
    assert verdict(replace(result, measures=measures)) == said


def test_what_is_said_is_what_the_model_says_of_what_is_shown(compared: Comparison) -> None:
    below = [[text.get_text() for text in axes.texts][-1] for axes in figure(compared).axes[1:]]
    kept = np.array([result.chosen for result in compared.results])
    assert compared.decision.masked.ask(kept).valid.tolist() == [text.startswith(("enough", "more")) for text in below]


def test_a_search_that_found_nothing_has_nothing_to_show() -> None:
    model = Rule()
    nothing = compare(model, torch.zeros(3, 4, 4), ["FocaLogic"], feature_mask=LABELS, baselines=0, target=1)
    focus = nothing.focus
    assert focus is not None
    assert not len(focus.final_states)
    assert verdict(nothing["FocaLogic"]) == "nothing found"


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_files(compared: Comparison, tmp_path: Path, kind: str) -> None:
    path = save_figure(figure([compared, compared]), tmp_path / "new" / f"figure.{kind}", dpi=60)
    start = path.read_bytes()[:200]
    assert {"png": b"PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind] in start
    if kind == "png":
        with Image.open(path) as image:
            assert image.width > 100


def test_a_image_has_a_column_for_each_method(compared: Comparison) -> None:
    drawn = figure(compared)
    assert [axes.get_title() for axes in drawn.axes] == ["image", "FocaLogic", "FeatureAblation"]
    assert "a|b" in [text.get_text() for text in drawn.axes[0].texts]


def test_nothing_to_show_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one"):
        figure([])
    with pytest.raises(InputError, match=r"\.svg"):
        save_figure(None, tmp_path / "figure.gif")  # type: ignore[arg-type]
