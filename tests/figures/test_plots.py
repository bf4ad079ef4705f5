"""Plots: Captum's conventions, and colours where they belong."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from makers import IMAGE, LABELS, focus_by, rule
from matplotlib import pyplot
from matplotlib.figure import Figure

from captum_focalogic.errors import InputError
from captum_focalogic.figures.plots import plot_classes

mpl.use("Agg")


def shown(axes) -> np.ndarray:
    return np.asarray(axes.images[0].get_array())


def test_a_new_figure_is_pyplots_unless_told_otherwise() -> None:
    focus = focus_by(rule)
    before = pyplot.get_fignums()
    figure, axes = focus.plot(IMAGE, use_pyplot=False, fig_size=(3, 2))
    assert pyplot.get_fignums() == before
    assert isinstance(figure, Figure)
    assert figure.get_size_inches().tolist() == [3, 2]
    assert axes.get_title() == "I0 & (I7 | (I_m3 & I2))"
    figure, _ = focus.plot(IMAGE)
    assert figure.number in pyplot.get_fignums()
    pyplot.close(figure)


def test_it_draws_into_given_axes() -> None:
    given = Figure()
    _, right = given.subplots(1, 2)
    figure, axes = focus_by(rule).plot(IMAGE, plt_fig_axis=(given, right), title="here")
    assert figure is given
    assert axes is right
    assert right.get_title() == "here"


def test_an_overlay_is_red_where_shared() -> None:
    _, axes = focus_by(rule).plot(np.full((3, 32, 48), 0.5), use_pyplot=False, show_ids=False)
    image = shown(axes)
    scale = image.shape[1] / 48
    red, green, blue = image[round(8 * scale), round(24 * scale)]
    assert red > 150 > green
    assert green == blue


def test_a_heat_map_is_the_share_of_the_final_states() -> None:
    focus = focus_by(rule)
    _, axes = focus.plot(method="heat_map", use_pyplot=False)
    shares = shown(axes)
    for region, share in {0: 1, 7: 0.5, -3: 0.5, 2: 0.5, 11: 0, 12: 0}.items():
        assert (shares[region == LABELS] == share).all()


def test_regions_and_the_image_of_the_focus() -> None:
    focus = focus_by(rule, image=np.zeros((*LABELS.shape, 3), np.uint8))
    _, axes = focus.plot(method="regions", use_pyplot=False)
    assert shown(axes).shape[2] == 3


@pytest.mark.parametrize(
    ("more", "how", "message"),
    [
        ({"label_map": None}, {}, "label map"),
        ({}, {"method": "blend"}, "method"),
        ({}, {"image": np.zeros((3, 5, 5))}, "5 x 5"),
    ],
)
def test_errors(more: dict, how: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        focus_by(rule, **more).plot(use_pyplot=False, **how)


def test_classes_stand_side_by_side_in_one_scale() -> None:
    pixels = np.full((6, 8, 3), 90, dtype=np.uint8)
    strong, weak = np.zeros((6, 8)), torch.zeros(1, 3, 6, 8)
    strong[:, :4], weak[..., 4:] = 0.8, -0.2
    figure = plot_classes({"tabby": strong, "lynx": weak}, pixels)
    first, *panels, scale = figure.axes
    assert np.array_equal(first.images[0].get_array(), pixels)
    assert [panel.get_title() for panel in panels] == ["tabby", "lynx"]
    for panel, values in zip(panels, (strong, weak[0].mean(0).numpy()), strict=True):
        drawn = panel.images[1]
        assert np.allclose(drawn.get_array(), values)
        assert drawn.get_clim() == (-0.8, 0.8), "colours of all classes mean the same"
    assert scale.get_xlabel() == "attribution"


@pytest.mark.parametrize(
    ("heat_maps", "message"),
    [
        ({}, "no class to show"),
        ({"a": np.zeros((5, 8))}, r"'a' must be finite numbers of the image's size \(6, 8\); got \(5, 8\)"),
        ({"a": np.full((6, 8), np.nan)}, "must be finite"),
    ],
)
def test_what_cannot_be_set_side_by_side(heat_maps: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plot_classes(heat_maps, np.zeros((6, 8, 3), dtype=np.uint8))
