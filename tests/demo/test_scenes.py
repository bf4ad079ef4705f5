import hashlib
from collections import Counter
from itertools import product

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label as components
from skimage.measure import regionprops
from skimage.morphology import dilation

from captum_focalogic.demo.rules import RULE_KINDS, ObjectKind
from captum_focalogic.demo.scenes import Scene, SceneConfig, draw_scene
from captum_focalogic.errors import InputError

SEEDS = st.integers(0, 2**40)
few = settings(max_examples=40, deadline=None)


def as_bytes(scene: Scene) -> bytes:
    return np.rint(scene.image * 255).astype(np.uint8).tobytes() + scene.labels.astype(np.uint8).tobytes()


def written_out(kinds: set[str]) -> int:
    if "red disc" in kinds and ("blue square" in kinds or "green triangle" in kinds):
        return 1
    return 2 if {"yellow ring", "purple cross"} <= kinds else 0


def test_pixels_are_the_same_on_every_machine() -> None:
    digest = hashlib.sha256(b"".join(as_bytes(draw_scene(seed)) for seed in range(40))).hexdigest()
    assert digest == "afb3c6a2fcbcbac365d518780418b88abf36faf7d3059ef80a899eae748c5e10"


@few
@given(SEEDS, st.sampled_from([None, 0, 1, 2]))
def test_a_seed_fixes_the_scene(seed: int, label: int | None) -> None:
    first, second = draw_scene(seed, label), draw_scene(seed, label)
    assert as_bytes(first) == as_bytes(second)
    assert first.objects == second.objects
    assert first.label == second.label
    assert as_bytes(first) != as_bytes(draw_scene(seed + 1, label))


@few
@given(SEEDS)
def test_image_is_lossless_in_8_bits(seed: int) -> None:
    image = draw_scene(seed).image
    assert image.shape == (3, 96, 96)
    assert image.dtype == np.float32
    assert image.min() >= 0.0
    assert image.max() <= 1.0
    np.testing.assert_array_equal(image, (np.rint(image * 255) / 255).astype(np.float32))


@few
@given(SEEDS, st.sampled_from([None, 0, 1, 2]))
def test_regions_cover_the_image(seed: int, label: int | None) -> None:
    scene = draw_scene(seed, label)
    count = len(scene.objects)
    assert 3 <= count <= 6
    assert [item.region for item in scene.objects] == list(range(1, count + 1))
    assert np.unique(scene.labels).tolist() == list(range(1, count + 5))
    rows, columns = np.nonzero(scene.labels > count)
    np.testing.assert_array_equal(scene.labels[rows, columns], count + 1 + 2 * (rows >= 48) + (columns >= 48))


@few
@given(SEEDS)
def test_objects_are_whole(seed: int) -> None:
    scene = draw_scene(seed)
    for item in scene.objects:
        mask = scene.labels == item.region
        assert components(mask, connectivity=2).max() == 1
        assert regionprops(mask.astype(int))[0].bbox == item.box


@pytest.mark.parametrize("seed", [*range(12), 20635, 20663, 20702])
def test_objects_are_apart(seed: int) -> None:
    # The gap is two of the 96 pixels across, which the blended outlines may fill; drawn larger it shows.
    scene = draw_scene(seed, config=SceneConfig(size=384))
    for item in scene.objects:
        grown = dilation(scene.labels == item.region, np.ones((5, 5)))
        assert set(np.unique(scene.labels[grown])) <= {item.region, *range(len(scene.objects) + 1, 11)}


@few
@given(SEEDS)
def test_nothing_of_an_object_lies_outside_its_mask(seed: int) -> None:
    # A background blends two colours, so its pixels lie on a line in RGB, up to rounding to 8 bits.
    scene = draw_scene(seed)
    pixels = scene.image[:, scene.labels > len(scene.objects)].T.astype(np.float64)
    centred = pixels - pixels.mean(axis=0)
    direction = np.linalg.svd(centred, full_matrices=False)[2][0]
    off_line = centred - np.outer(centred @ direction, direction)
    assert np.linalg.norm(off_line, axis=1).max() < 1.5 / 255


@few
@given(SEEDS)
def test_objects_have_their_colour(seed: int) -> None:
    scene = draw_scene(seed)
    for item in scene.objects:
        red, green, blue = scene.image[:, scene.labels == item.region].mean(axis=1)
        assert {
            "red": red > 1.5 * max(green, blue),
            "green": green > 1.3 * max(red, blue),
            "blue": blue > 1.3 * max(red, green),
            "yellow": min(red, green) > 1.5 * blue,
            "purple": min(red, blue) > 1.15 * green,
            "teal": min(green, blue) > 1.5 * red,
            "white": min(red, green, blue) > 0.6,
        }[item.colour]


@few
@given(SEEDS, st.sampled_from([None, 0, 1, 2]))
def test_label_follows_from_the_objects(seed: int, label: int | None) -> None:
    scene = draw_scene(seed, label)
    kinds = {f"{item.colour} {item.shape}" for item in scene.objects}
    assert scene.label == written_out(kinds)
    assert label in (None, scene.label)
    assert not (written_out(kinds) == 1 and {"yellow ring", "purple cross"} <= kinds)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from([0, 1, 2]))
def test_rules_hold_for_exactly_the_right_subsets(seed: int, label: int) -> None:
    scene = draw_scene(seed, label)
    symbols = [sympy.Symbol(f"I{item.region}") for item in scene.objects]
    for kept in product([False, True], repeat=len(symbols)):
        left = {str(item.kind) for item, keep in zip(scene.objects, kept, strict=True) if keep}
        values = dict(zip(symbols, kept, strict=True))
        for other in range(3):
            assert bool(scene.rule_of(other).subs(values)) == (written_out(left) == other)
    assert scene.rule == scene.rule_of(label)


@few
@given(SEEDS)
def test_truth_is_the_objects_of_the_rule(seed: int) -> None:
    scene = draw_scene(seed)
    named = {1: {"red disc", "blue square", "green triangle"}, 2: {"yellow ring", "purple cross"}, 0: set()}
    for label in (None, 0, 1, 2):
        wanted = named[scene.label if label is None else label]
        expected = np.zeros((96, 96), dtype=bool)
        for item in scene.objects:
            if str(item.kind) in wanted:
                expected |= scene.labels == item.region
        np.testing.assert_array_equal(scene.truth(label), expected)
    used = {str(symbol) for symbol in scene.rule.free_symbols}
    assert used == {f"I{region}" for region in np.unique(scene.labels[scene.truth()])}


@pytest.mark.parametrize("seed", range(4))
def test_a_scene_enlarges(seed: int) -> None:
    small, large = draw_scene(seed), draw_scene(seed, config=SceneConfig(size=384))
    assert [item.kind for item in small.objects] == [item.kind for item in large.objects]
    enlarged = small.labels.repeat(4, axis=0).repeat(4, axis=1)
    assert (enlarged == large.labels).mean() > 0.97
    shrunk = large.image.reshape(3, 96, 4, 96, 4).mean(axis=(2, 4))
    assert np.abs(shrunk - small.image).mean() < 0.02


def test_classes_are_equally_frequent_and_distractors_bind() -> None:
    scenes = [draw_scene(seed) for seed in range(600)]
    shares = Counter(scene.label for scene in scenes)
    assert all(150 < shares[label] < 250 for label in range(3))
    others = [{str(item.kind) for item in scene.objects} for scene in scenes if scene.label == 0]
    assert sum("red disc" in kinds for kinds in others) > 20
    assert sum({"blue square", "green triangle"} <= kinds for kinds in others) > 5
    # Every colour and every shape of the rules is also seen apart from the other.
    shown = {item.kind for scene in scenes if scene.label == 0 for item in scene.objects}
    for kind in RULE_KINDS:
        assert any(other.colour == kind.colour and other.shape != kind.shape for other in shown)
        assert any(other.colour != kind.colour and other.shape == kind.shape for other in shown)


def test_background_bias() -> None:
    config = SceneConfig(backgrounds={1: "moss"})
    for seed in range(40):
        scene = draw_scene(seed, config=config)
        red, green, _ = scene.image[:, scene.labels > len(scene.objects)].mean(axis=1)
        # Moss is the only background that is greener than red while not bluer than green.
        blue = scene.image[2, scene.labels > len(scene.objects)].mean()
        assert (green > red and green > blue) == (scene.label == 1)


def test_companion_bias() -> None:
    companion = ObjectKind("teal", "star")
    config = SceneConfig(companions={2: companion})
    for seed in range(60):
        scene = draw_scene(seed, config=config)
        assert (companion in {item.kind for item in scene.objects}) == (scene.label == 2)


def test_colour_bias() -> None:
    config = SceneConfig(colour_tells=True)
    of_rules = {kind.colour: kind for kind in RULE_KINDS}
    for seed in range(60):
        for item in draw_scene(seed, config=config).objects:
            assert item.kind == of_rules.get(item.colour, item.kind)


@pytest.mark.parametrize("cells", [1, 3])
def test_background_cells(cells: int) -> None:
    for seed in range(20):
        scene = draw_scene(seed, config=SceneConfig(background_cells=cells))
        assert len(np.unique(scene.labels)) == len(scene.objects) + cells**2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 32}, "size is 32"),
        ({"min_objects": 2}, "min_objects=2"),
        ({"min_objects": 5, "max_objects": 4}, "min_objects=5"),
        ({"max_objects": 9}, "max_objects=9"),
        ({"background_cells": 4}, "background_cells is 4"),
        ({"backgrounds": {1: "neon"}}, "unknown background 'neon'"),
        ({"backgrounds": {7: "moss"}}, "no class 7"),
        ({"companions": {1: ObjectKind("red", "disc")}}, "a red disc cannot be a companion"),
        ({"companions": {1: ObjectKind("teal", "star")}, "max_objects": 3}, "room for 4"),
    ],
)
def test_bad_configurations_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SceneConfig(**options)  # type: ignore[arg-type]


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="seed is -1"):
        draw_scene(-1)
    with pytest.raises(InputError, match="no class 3"):
        draw_scene(0, label=3)
    with pytest.raises(InputError, match="no class 9"):
        draw_scene(0).truth(9)
