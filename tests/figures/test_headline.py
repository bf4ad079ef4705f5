"""The headline: evidence as it is to the bit, all else grey, and what the panels beside it show."""

from dataclasses import replace

import numpy as np
import pytest
from makers import IDS, LABELS, focus_by, rule
from PIL import Image

from captum_focalogic.errors import InputError
from captum_focalogic.figures.headline import evidence_image, headline, removal_image
from captum_focalogic.provenance import Provenance
from captum_focalogic.search.critical import CriticalSets

GRAIN = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
BLACK, WHITE = np.zeros((32, 48, 3), dtype=np.uint8), np.full((32, 48, 3), 255, dtype=np.uint8)
LARGE = LABELS.repeat(10, axis=0).repeat(10, axis=1)
STATE = np.isin(IDS, [0, 7])


def enlarged(image: np.ndarray, factor: int) -> np.ndarray:
    size = (image.shape[1] * factor, image.shape[0] * factor)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def critical(*dropped: int, names: tuple[str, ...] = ("tabby",), predicted: int = 3) -> CriticalSets:
    return CriticalSets(
        np.isin(IDS, dropped)[None],
        np.array([predicted]),
        np.array([0.25], np.float32),
        np.array([True]),
        9,
        6,
        1,
        names,
    )


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("image", [GRAIN, BLACK, WHITE])
@pytest.mark.parametrize("state", [STATE, np.zeros(6, dtype=bool), np.ones(6, dtype=bool)])
def test_evidence_is_untouched_to_the_bit_and_the_rest_is_grey(image, numbers, state) -> None:
    large = enlarged(image, 10)
    drawn = np.asarray(evidence_image(large, LARGE, IDS, state, numbers=numbers, side=480))
    shown = np.isin(LARGE, IDS[state])
    np.testing.assert_array_equal(drawn[shown], large[shown])
    assert (np.ptp(drawn[~shown].astype(int), axis=1) == 0).all()


def test_small_images_are_enlarged_and_their_evidence_is_that_of_the_enlarged_image() -> None:
    drawn = np.asarray(evidence_image(GRAIN, LABELS, IDS, STATE, numbers=True, side=480))
    shown = np.isin(LARGE, IDS[STATE])
    np.testing.assert_array_equal(drawn[shown], enlarged(GRAIN, 10)[shown])


@pytest.mark.parametrize("image", [BLACK, WHITE])
def test_black_and_white_evidence_stand_out_from_the_same_around_them(image) -> None:
    drawn = np.asarray(evidence_image(image, LABELS, IDS, STATE, side=48)).astype(int)
    rest = ~np.isin(LABELS, IDS[STATE])
    middle = np.median(drawn[rest], axis=0)
    assert np.abs(middle - int(image[0, 0, 0])).min() > 40


def test_numbers_stand_on_the_dimmed_part_alone() -> None:
    without, with_numbers = (
        np.asarray(evidence_image(WHITE, LABELS, IDS, STATE, numbers=numbers, side=480)) for numbers in (False, True)
    )
    changed = (without != with_numbers).any(axis=2)
    assert changed.any()
    assert not changed[np.isin(LARGE, IDS[STATE])].any()


def test_what_is_taken_away_is_what_the_model_saw_and_the_rest_is_as_it_was() -> None:
    fill = np.array([[[200, 10, 30]]], dtype=np.uint8)
    gone = LABELS == 7
    drawn = np.asarray(removal_image(GRAIN, LABELS, IDS, IDS == 7, fill, side=48))
    np.testing.assert_array_equal(drawn[~gone], GRAIN[~gone])
    rows, columns = (axis[len(axis) // 2] for axis in np.nonzero(gone))
    assert drawn[rows, columns].tolist() == [200, 10, 30]
    as_image = np.asarray(removal_image(GRAIN, LABELS, IDS, IDS == 7, np.broadcast_to(fill, GRAIN.shape), side=48))
    np.testing.assert_array_equal(drawn, as_image)
    unknown = np.asarray(removal_image(GRAIN, LABELS, IDS, IDS == 7, side=48))
    np.testing.assert_array_equal(unknown[~gone], GRAIN[~gone])
    assert (np.ptp(unknown[gone].astype(int), axis=1) == 0).all()


def test_the_strongest_set_is_large_and_every_panel_takes_room() -> None:
    focus = focus_by(rule, image=GRAIN, provenance=Provenance(baseline="mean", removal="fill"))
    strongest = focus.final_states[focus.strongest[0]]
    main = np.asarray(evidence_image(GRAIN, LABELS, IDS, strongest, numbers=True, side=480))
    page = np.asarray(headline(focus, side=480))
    places = [
        (top, left)
        for top in range(80)
        for left in range(40)
        if np.array_equal(page[top : top + 320, left : left + 480], main)
    ]
    assert len(places) == 1
    alone = focus_by(lambda kept: kept[0] and kept[7], image=GRAIN)
    assert len(alone.final_states) == 1 < len(focus.final_states) == 2
    widths = [
        headline(each, side=480).width
        for each in (alone, focus, replace(alone, critical=critical(0)), replace(focus, critical=critical(0)))
    ]
    assert widths[0] < widths[1] == widths[2] == widths[3]


def test_texts_say_what_was_asked_and_no_more(monkeypatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        "captum_focalogic.figures.headline._page",
        lambda _main, title, text, panels: said.extend([title, text, *(t for _, t in panels)]),
    )
    focus = focus_by(
        rule,
        image=GRAIN,
        target_name="cat",
        provenance=Provenance(baseline="mean", removal="fill"),
        critical=critical(0),
    )
    focus = replace(focus, evaluated=replace(focus.evaluated, probability=focus.evaluated.score))
    headline(focus)
    assert said == [
        "",
        "Enough: 0 and 7 alone, 33 % of the image: cat 0.77 (the dimmed rest was filled with mean colour)",
        "Or -3, 0 and 2 alone: cat 0.78",
        "Without 0, all else kept, the model says tabby",
    ]
    said.clear()
    headline(replace(focus, critical=critical(0, predicted=4)), against="dog")
    assert said[1].startswith(
        "Enough: 0 and 7 alone keep cat ahead of dog, by at least half of its lead: 33 % of the image"
    )
    assert (
        said[-1] == "Without 0, all else kept, cat keeps less than half of its lead over dog (the model says cat still)"
    )
    said.clear()
    headline(focus_by(lambda _: False, image=GRAIN, target_name="cat"))
    assert said == ["", "Enough: nothing: the whole image is not called cat either"]


def test_large_images_are_shrunk() -> None:
    labels = LABELS.repeat(60, axis=0).repeat(60, axis=1)
    image = GRAIN.repeat(60, axis=0).repeat(60, axis=1)
    focus = focus_by(lambda kept: kept[0] and kept[7], label_map=labels, image=image)
    assert 900 < headline(focus).width < 1000


def test_what_cannot_be_shown_is_told() -> None:
    with pytest.raises(InputError, match="without a label map"):
        headline(focus_by(rule, label_map=None))
    with pytest.raises(InputError, match="pixels"):
        headline(focus_by(rule), GRAIN[:20])
