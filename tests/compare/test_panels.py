"""Tables and pictures of comparisons."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from compare_models import LABELS, Cells, Rule
from PIL import Image

from captum_focalogic.compare import Comparison, characteristics, compare, figure, panel, save_figure, summarise
from captum_focalogic.compare.panels import top_pixels
from captum_focalogic.errors import InputError


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare(
        Rule(), torch.ones(3, 4, 4), ["FocaLogic", "FeatureAblation", "GradCAM"], feature_mask=LABELS, title="a|b"
    )


def test_a_table_of_one_image(compared: Comparison) -> None:
    table = summarise(compared)
    assert table.header[:3] == ("method", "evaluations", "seconds")
    assert "precision" not in table.header, "no truth was given"
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert rows["FocaLogic"]["sufficient"] == "yes"
    assert rows["FocaLogic"]["explanations"] == "2"
    assert rows["FeatureAblation"]["evaluations"] == "5"
    assert any("GradCAM was skipped" in note for note in table.notes)


def test_an_average_leaves_out_what_is_not_defined(compared: Comparison) -> None:
    first, second = compared.results[0], compared.results[1]
    changed = replace(
        first, measures=replace(first.measures, evaluations=first.measures.evaluations + 10, precision=0.5)
    )
    other = replace(compared, results=(changed, second), skipped={})
    table = summarise([compared, other])
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert float(rows["FocaLogic"]["evaluations"]) == first.measures.evaluations + 5
    assert rows["FocaLogic"]["precision"] == "0.50"
    assert rows["FeatureAblation"]["precision"] == "-"
    assert table.images == 2
    assert any("on 1 of 2 images" in note for note in table.notes)


def test_markdown(compared: Comparison) -> None:
    text = summarise(compared).markdown()
    lines = text.splitlines()
    assert lines[1].count("---") == lines[0].count("|") - 1
    assert "- GradCAM was skipped" in text


def test_characteristics_are_counted(compared: Comparison) -> None:
    table = characteristics([compared, compared])
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert rows["FocaLogic"]["sufficient"] == "2 of 2"
    assert rows["FocaLogic"]["logic"] == "yes"
    assert rows["FeatureAblation"]["logic"] == "no"


def test_top_pixels() -> None:
    heat = np.array([[1.0, 3.0], [3.0, 2.0]])
    assert top_pixels(heat, 0.5).tolist() == [[False, True], [True, False]]
    assert top_pixels(heat, 0.25).tolist() == [[False, True], [False, False]]
    assert top_pixels(heat, 0.0).sum() == 1


def test_red_is_shared_and_white_is_some(compared: Comparison) -> None:
    picture = np.asarray(panel(compared, compared["FocaLogic"]))
    quarter = picture.shape[0] // 4
    red, white, dim = (picture[y, x] for y, x in ((quarter, quarter), (quarter, 3 * quarter), (3 * quarter, quarter)))
    assert red[0] > red[1] + 50, "region 5 is in both final states"
    assert white.min() > 200, "region 7 is in one"
    assert dim.max() < 150, "region -1 is in none"


def test_pixels_are_red_pixel_by_pixel() -> None:
    compared = compare(Cells(), torch.ones(3, 4, 4), ["IntegratedGradients"], feature_mask=LABELS, target=1)
    picture = np.asarray(panel(compared, compared["IntegratedGradients"])).astype(int)
    quarter = picture.shape[0] // 4
    assert picture[quarter, quarter, 0] > picture[quarter, quarter, 1] + 50


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_files(compared: Comparison, tmp_path: Path, kind: str) -> None:
    path = save_figure(figure([compared, compared]), tmp_path / "new" / f"figure.{kind}", dpi=60)
    start = path.read_bytes()[:200]
    assert {"png": b"PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind] in start
    if kind == "png":
        with Image.open(path) as picture:
            assert picture.width > 100


def test_a_picture_has_a_column_for_each_method(compared: Comparison) -> None:
    drawn = figure(compared, colour_blind=True)
    assert [axes.get_title() for axes in drawn.axes] == ["image", "FocaLogic", "FeatureAblation"]
    assert "a|b" in [text.get_text() for text in drawn.axes[0].texts]


def test_nothing_to_show_is_an_error(tmp_path: Path) -> None:
    for wanted in (figure, summarise, characteristics):
        with pytest.raises(InputError, match="at least one"):
            wanted([])
    with pytest.raises(InputError, match=r"\.svg"):
        save_figure(None, tmp_path / "figure.gif")  # type: ignore[arg-type]
