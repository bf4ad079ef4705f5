"""Outlines: the middle of every pixel lies inside the outline of its region and of no other."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path

from captum_focalogic.errors import InputError
from captum_focalogic.figures.outlines import outlines


def loops_of(path: str) -> list[np.ndarray]:
    """The corners of each loop, read from the path by a reader of its own."""
    loops = []
    for start, steps in re.findall(r"M(-?\d+ -?\d+)l([^z]*)z", path):
        first = np.array([[int(number) for number in start.split()]])
        moves = np.array([int(number) for number in steps.split()], dtype=int).reshape(-1, 2)
        loops.append(np.concatenate([first, first + np.cumsum(moves, axis=0)]))
    return loops


def covered(path: str, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose middle the path encloses, by the even-odd rule."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    middles = np.stack([2 * x.ravel() + 1, 2 * y.ravel() + 1], axis=1)
    inside = np.zeros(len(middles), dtype=bool)
    for loop in loops_of(path):
        inside ^= Path(np.concatenate([loop, loop[:1]])).contains_points(middles)
    return inside.reshape(shape)


@settings(max_examples=60, deadline=None)
@given(arrays(np.int64, hs.tuples(hs.integers(1, 9), hs.integers(1, 9)), elements=hs.integers(-2, 3)))
def test_every_pixel_lies_in_its_own_outline_alone(labels: np.ndarray) -> None:
    ids = np.unique(labels)
    drawn = outlines(labels, ids)
    assert (drawn.width, drawn.height) == (2 * labels.shape[1], 2 * labels.shape[0])
    for region, outline in zip(ids, drawn.regions, strict=True):
        assert np.array_equal(covered(outline.path, labels.shape), labels == region)
        x, y = outline.centre
        assert labels[y // 2, x // 2] == region


def test_a_square_is_eight_cut_corners_whatever_its_size() -> None:
    labels = np.zeros((100, 100), dtype=int)
    labels[10:90, 20:60] = 1
    (loop,) = loops_of(outlines(labels, [0, 1]).regions[1].path)
    assert len(loop) == 8
    assert loop[:, 0].min() == 40
    assert loop[:, 0].max() == 120
    assert loop[:, 1].min() == 20
    assert loop[:, 1].max() == 180


def test_a_staircase_becomes_a_line() -> None:
    labels = np.tri(50, dtype=int)
    path = outlines(labels, [0, 1]).regions[1].path
    assert len(loops_of(path)[0]) < 12


def test_a_hole_is_a_loop_of_its_own() -> None:
    labels = np.zeros((9, 9), dtype=int)
    labels[3:6, 3:6] = 1
    assert len(loops_of(outlines(labels, [0, 1]).regions[0].path)) == 2


def test_large_maps_are_thinned_out_and_what_vanishes_has_no_path() -> None:
    labels = np.zeros((1300, 2000), dtype=int)
    labels[1, 1] = 1
    drawn = outlines(labels, [0, 1])
    assert max(drawn.width, drawn.height) <= 2 * 640
    assert drawn.regions[1].path == ""
    assert drawn.regions[0].path


@pytest.mark.parametrize("labels", [np.zeros(4, int), np.zeros((0, 3), int), np.zeros((2, 2, 2), int)])
def test_other_shapes_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(InputError, match="label map"):
        outlines(labels, [0])
