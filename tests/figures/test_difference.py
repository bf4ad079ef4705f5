"""Differences of two explanations: the set shown tells the formulas apart, and what is said of the models is so."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from makers import IDS, IMAGE, LABELS, focus_by, rule
from torch import Tensor

from captum_focalogic import FocaLogic
from captum_focalogic.errors import InputError
from captum_focalogic.figures.difference import show_difference
from captum_focalogic.figures.overlays import regions_image
from captum_focalogic.verify import masked_model_of


def stricter(kept: dict[int, bool]) -> bool:
    return rule(kept) and kept[7]


def formula_holds(focus, regions) -> bool:
    return any(state <= regions for state in focus.region_sets())


def colour_of(image, region: int) -> tuple[int, ...]:
    """The colour near the corner of a region, away from frames and numbers."""
    y, x = np.argwhere(region == LABELS)[5 * 16 + 4]
    scale = image.width / LABELS.shape[1]
    return image.getpixel((round((x + 0.5) * scale), round((y + 0.5) * scale)))


def test_the_regions_shown_are_enough_for_one_formula_only() -> None:
    a, b = focus_by(rule), focus_by(stricter)
    for one, other, said in ((a, b, "A's formula holds, B's does not"), (b, a, "B's formula holds, A's does not")):
        shown = show_difference(one, other, IMAGE)
        assert shown.regions == {-3, 0, 2}, "the one term that the stricter rule lacks"
        assert formula_holds(one, shown.regions) != formula_holds(other, shown.regions)
        assert shown.caption == f"With just I_m3 & I0 & I2 (50.0% of the image): {said}."
        assert str(shown) == shown.caption
        assert shown.check is None
    whole = regions_image(IMAGE, LABELS)
    assert shown.image.width == whole.width
    assert shown.image.height > whole.height, "a caption below"
    bright = {region for region in IDS.tolist() if max(colour_of(shown.image, region)) > 115}
    assert bright == shown.regions


def test_names_and_titles_are_in_the_caption() -> None:
    a = focus_by(rule, names={0: "beak", 2: "wing"})
    shown = show_difference(a, focus_by(stricter, target=9), IMAGE, titles=("before", "after"))
    assert shown.caption == (
        "With just I_m3 & I0 beak & I2 wing (50.0% of the image): before's formula holds, after's does not. "
        "They explain different classes: before 4, after 9."
    )


def test_equivalent_formulas_show_the_partition() -> None:
    shown = show_difference(focus_by(rule), focus_by(lambda kept: rule(kept) and kept[0]))
    assert shown.regions is None
    assert shown.check is None
    assert shown.caption.startswith("A and B are equivalent")
    assert min(min(colour_of(shown.image, region)) for region in IDS.tolist()) > 100, "nothing is dimmed"


def test_the_empty_set_can_be_the_difference() -> None:
    shown = show_difference(focus_by(lambda kept: True), focus_by(rule), IMAGE)
    assert shown.regions == frozenset()
    assert shown.caption == "With no region at all: A's formula holds, B's does not."


def test_regions_of_ones_own_choice() -> None:
    a, b = focus_by(rule), focus_by(stricter)
    assert "both formulas hold" in show_difference(a, b, IMAGE, regions=[0, 7]).caption
    shown = show_difference(a, b, IMAGE, regions=[12])
    assert shown.regions == {12}
    assert "neither formula holds" in shown.caption
    with pytest.raises(InputError, match="99"):
        show_difference(a, b, IMAGE, regions=[0, 99])


def model_by(holds):
    """A model of the image above that sees which regions are kept."""

    def forward(images: Tensor) -> Tensor:
        # Every pixel of the third channel is 0.5 where kept, and 0 in the baseline.
        kept = [dict(zip(IDS.tolist(), row, strict=True)) for row in _kept(images)]
        won = torch.tensor([float(holds(each)) for each in kept])
        return torch.stack([1 - won, won], dim=1)

    return forward


def _kept(images: Tensor) -> list[list[bool]]:
    places = [np.argwhere(region == LABELS)[0] for region in IDS.tolist()]
    return [[bool(image[2, y, x] > 0.25) for y, x in places] for image in images]


@pytest.fixture(scope="module")
def explained():
    x, mask = torch.from_numpy(IMAGE)[None], torch.from_numpy(LABELS)[None, None]
    models = [model_by(rule), model_by(stricter)]
    focuses = [FocaLogic(model, reading="irreducible").explain(x, target=1, feature_mask=mask)[0] for model in models]
    return focuses, [masked_model_of(focus, model, x) for focus, model in zip(focuses, models, strict=True)]


def test_both_models_are_asked(explained) -> None:
    focuses, masked = explained
    shown = show_difference(*focuses, None, *masked)
    assert shown.check is not None
    assert shown.check.confirmed
    assert (shown.check.model_a, shown.check.model_b) == (True, False)
    assert shown.caption.endswith("Asked, both models do as their formulas say.")


def test_a_model_that_does_otherwise_is_named(explained) -> None:
    (a, b), (asked, _) = explained
    shown = show_difference(a, b, None, asked, asked)
    assert shown.check is not None
    assert not shown.check.confirmed
    assert shown.caption.endswith("NOT confirmed: asked, B keeps its prediction all the same.")


def test_what_cannot_be_compared_is_refused(explained) -> None:
    (a, b), (asked, _) = explained
    with pytest.raises(InputError, match="both models"):
        show_difference(a, b, None, asked)
    with pytest.raises(InputError, match="label map"):
        show_difference(replace(a, label_map=None, image=None), b)
    other = replace(b, label_map=np.ascontiguousarray(LABELS[:, ::-1]), image=None)
    with pytest.raises(InputError, match="different regions"):
        show_difference(a, other)
    with pytest.raises(InputError, match="pixels"):
        show_difference(a, b, np.zeros((3, 10, 10)))
