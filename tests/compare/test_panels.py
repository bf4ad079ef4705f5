"""Images of comparisons: what is red, white and dim, and the files they are written to."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import LABELS, Cells, Rule

from captum_focalogic.compare import Comparison, compare, figure, panel, save_figure
from captum_focalogic.compare.panels import top_pixels
from captum_focalogic.errors import InputError


def test_top_pixels() -> None:
    heat = np.array([[1.0, 3.0], [3.0, 2.0]])
    assert top_pixels(heat, 0.5).tolist() == [[False, True], [True, False]]
    assert top_pixels(heat, 0.25).tolist() == [[False, True], [False, False]]
    assert top_pixels(heat, 0.0).sum() == 1


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


def test_pixels_are_red_pixel_by_pixel() -> None:
    compared = compare(
        Cells(), torch.ones(3, 4, 4), ["IntegratedGradients"], feature_mask=LABELS, baselines=0, target=1
    )
    image = np.asarray(panel(compared, compared["IntegratedGradients"])).astype(int)
    quarter = image.shape[0] // 4
    assert image[quarter, quarter, 0] > image[quarter, quarter, 1] + 50


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_files(compared: Comparison, tmp_path: Path, kind: str) -> None:
    path = save_figure(figure([compared, compared]), tmp_path / "new" / f"figure.{kind}", dpi=60)
    start = path.read_bytes()[:200]
    assert {"png": b"PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind] in start
    if kind == "png":
        with Image.open(path) as image:
            assert image.width > 100


def test_a_image_has_a_column_for_each_method(compared: Comparison) -> None:
    drawn = figure(compared, colour_blind=True)
    assert [axes.get_title() for axes in drawn.axes] == ["image", "FocaLogic", "FeatureAblation"]
    assert "a|b" in [text.get_text() for text in drawn.axes[0].texts]


def test_nothing_to_show_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one"):
        figure([])
    with pytest.raises(InputError, match=r"\.svg"):
        save_figure(None, tmp_path / "figure.gif")  # type: ignore[arg-type]
