"""The strongest noise that keeps a class."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from captum_focalogic.errors import InputError
from captum_focalogic.experiments.noise import HIGHEST, TOLERANCE, classes_of, largest_noise, noise_of, with_noise


def bright(threshold):
    """Class 1 where the mean is above a threshold."""

    def forward(images):
        above = images.mean(dim=(1, 2, 3)) - threshold
        return torch.stack([-above, above], dim=1)

    return forward


def test_a_darkening_of_known_strength():
    images = torch.full((2, 3, 4, 4), 0.5)
    noise = torch.stack([torch.full((3, 4, 4), -1.0), torch.full((3, 4, 4), 1.0)])
    darker, brighter = largest_noise(bright(0.3), images, noise).tolist()
    # 0.5 - sigma passes 0.3 at sigma = 0.2; the other image only gets brighter
    assert 0.2 - TOLERANCE <= darker <= 0.2
    assert brighter == HIGHEST


@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 0.95), st.integers(0, 10_000))
def test_the_class_is_kept_there_and_lost_within_the_tolerance(threshold, seed):
    images = torch.rand(3, 3, 5, 4, generator=torch.Generator().manual_seed(seed))
    noise = torch.stack([noise_of((3, 5, 4), f"{seed} {place}") for place in range(3)])
    forward = bright(threshold)
    classes = classes_of(forward, images)
    sigmas = largest_noise(forward, images, noise)
    assert torch.equal(classes_of(forward, with_noise(images, noise, sigmas)), classes)
    searched = sigmas < HIGHEST
    at_end = classes_of(forward, with_noise(images, noise, torch.full((3,), HIGHEST)))
    assert torch.equal(searched, at_end != classes)
    # bisection stops at a pair that brackets a boundary, so that some strength within the tolerance loses the class
    steps = torch.linspace(0, TOLERANCE, 200)
    for place in torch.nonzero(searched).flatten().tolist():
        tried = torch.stack([with_noise(images[[place]], noise[[place]], sigmas[[place]] + step)[0] for step in steps])
        assert bool((classes_of(forward, tried) != classes[place]).any())


def test_noisy_images_stay_images():
    images = torch.rand(2, 3, 8, 8)
    noise = torch.stack([noise_of((3, 8, 8), "a"), noise_of((3, 8, 8), "b")])
    noisy = with_noise(images, noise, torch.tensor([0.0, 0.7]))
    assert torch.equal(noisy[0], images[0])
    assert float(noisy.min()) >= 0
    assert float(noisy.max()) <= 1
    assert torch.equal(noisy[1], torch.clamp(images[1] + 0.7 * noise[1], 0, 1))


def test_noise_is_standard_and_repeats():
    noise = noise_of((3, 100, 100), "seed")
    assert torch.equal(noise, noise_of((3, 100, 100), "seed"))
    assert not torch.equal(noise, noise_of((3, 100, 100), "other"))
    # 30,000 draws: the mean is within 5 / sqrt(30,000) of 0
    assert abs(float(noise.mean())) < 0.03
    assert abs(float(noise.std()) - 1) < 0.03


def test_one_number_an_image_is_a_class_or_decides_by_its_sign():
    images = torch.rand(4, 3, 2, 2)
    labels = torch.tensor([2, 0, 1, 1])
    assert classes_of(lambda _: labels, images).tolist() == [2, 0, 1, 1]
    assert classes_of(lambda _: torch.tensor([[-0.1], [0.2], [0.0], [3.0]]), images).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(("highest", "tolerance"), [(0.0, 0.1), (1.0, 0.0), (1.0, float("nan"))])
def test_bounds_are_checked(highest, tolerance):
    with pytest.raises(InputError, match="above 0"):
        largest_noise(bright(0.5), torch.rand(1, 3, 2, 2), torch.rand(1, 3, 2, 2), highest, tolerance)
