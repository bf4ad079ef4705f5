import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captum_focalogic.demo.drawing import (
    RandomNumbers,
    background_texture,
    object_texture,
    pixel_grid,
    reach_of,
    signed_distance,
    value_noise,
    wave,
)
from captum_focalogic.demo.rules import SHAPES

SCALE = 0.3
AREAS = {
    "disc": math.pi,
    "square": 2.0,
    "triangle": 3.0 * math.sqrt(3.0) / 4.0,
    "ring": math.pi * (1.0 - 0.52**2),
    "cross": 8.0 * 0.94 * 0.31 - (2.0 * 0.31) ** 2,
}


def grid(size: int = 800) -> tuple[np.ndarray, np.ndarray]:
    x, y = pixel_grid(size)
    return x - 0.5, y - 0.5


@pytest.mark.parametrize("shape", sorted(AREAS))
def test_area_is_that_of_the_shape(shape: str) -> None:
    inside = signed_distance(shape, *grid(), SCALE) > 0.0
    assert inside.mean() == pytest.approx(AREAS[shape] * reach_of(shape, SCALE) ** 2, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_shape_stays_within_its_reach(shape: str) -> None:
    u, v = grid()
    inside = signed_distance(shape, u, v, SCALE) > 0.0
    assert inside.any()
    assert np.hypot(u, v)[inside].max() <= reach_of(shape, SCALE)


@pytest.mark.parametrize("shape", SHAPES)
def test_distance_changes_no_faster_than_the_position(shape: str) -> None:
    draws = np.random.default_rng(0)
    here, there = draws.uniform(-0.6, 0.6, (2, 2, 5000))
    change = np.abs(signed_distance(shape, *here, SCALE) - signed_distance(shape, *there, SCALE))
    assert (change <= np.hypot(*(here - there)) + 1e-9).all()


def test_star_looks_the_same_after_a_fifth_of_a_turn() -> None:
    u, v = grid(200)
    turn = 2.0 * math.pi / 5.0
    turned = signed_distance(
        "star", u * math.cos(turn) - v * math.sin(turn), u * math.sin(turn) + v * math.cos(turn), 0.3
    )
    np.testing.assert_allclose(turned, signed_distance("star", u, v, 0.3), atol=1e-9)
    assert signed_distance("star", u, v, 0.3).max() > 0.1


def test_draws_follow_pcg64() -> None:
    raw = np.random.PCG64(7).random_raw(3)
    draws = RandomNumbers(7)
    assert draws.uniform(0.0, 1.0) == (int(raw[0]) >> 11) * 2.0**-53
    assert draws.pick(range(1000)) == int(raw[1]) * 1000 >> 64
    assert draws.uniform(-2.0, 2.0) == -2.0 + 4.0 * ((int(raw[2]) >> 11) * 2.0**-53)


@given(st.integers(0, 2**63), st.floats(0.01, 2.0))
def test_turns_are_rotations_within_the_limit(seed: int, limit: float) -> None:
    cosine, sine = RandomNumbers(seed).turn(limit)
    assert cosine**2 + sine**2 == pytest.approx(1.0)
    assert abs(math.atan2(sine, cosine)) <= 2.0 * math.atan(limit) + 1e-12


@given(st.integers(0, 2**63), st.lists(st.integers(), max_size=8))
def test_shuffling_keeps_the_items(seed: int, items: list[int]) -> None:
    assert sorted(RandomNumbers(seed).shuffled(items)) == sorted(items)


def test_picks_and_chances_have_the_stated_shares() -> None:
    draws = RandomNumbers(3)
    picks = np.bincount([draws.pick(range(4)) for _ in range(4000)]) / 4000
    assert picks == pytest.approx([0.25] * 4, abs=0.035)
    assert sum(draws.chance(0.3) for _ in range(4000)) / 4000 == pytest.approx(0.3, abs=0.035)


def test_wave_by_hand() -> None:
    np.testing.assert_allclose(wave(np.array([0.0, 0.25, 0.5, 0.75, 1.0, -0.5])), [1, 0, -1, 0, 1, -1], atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_textures_keep_their_range_and_are_not_flat(seed: int) -> None:
    x, y = pixel_grid(96)
    u, v = x - 0.5, y - 0.5
    for shade, low, high in (
        (value_noise(RandomNumbers(seed), x, y, 5), -1.0, 1.0),
        (object_texture(RandomNumbers(seed), u, v), -1.0, 1.0),
        (background_texture(RandomNumbers(seed), x, y), 0.0, 1.0),
    ):
        assert low <= shade.min() < shade.max() <= high
        assert shade.std() > 0.05
