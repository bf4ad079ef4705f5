import numpy as np
import pytest
import sympy
import torch

from captum_focalogic.demo.batches import BASELINES, SceneSet, baseline, occlude
from captum_focalogic.demo.scenes import SceneConfig, draw_scene

SCENES = [draw_scene(seed) for seed in range(24)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def scene_set() -> SceneSet:
    return SceneSet.from_scenes(iter(SCENES))


def test_a_set_holds_the_scenes(scene_set: SceneSet) -> None:
    assert len(scene_set) == 24
    assert scene_set.labels.tolist() == [scene.label for scene in SCENES]
    for row, scene in enumerate(SCENES):
        np.testing.assert_array_equal(scene_set.regions[row].numpy(), scene.labels)
        np.testing.assert_allclose(scene_set.images[row].numpy() / 255.0, scene.image, atol=1e-6)


def test_labels_of_what_is_left_follow_the_rule(scene_set: SceneSet) -> None:
    draws = np.random.default_rng(0)
    rows = draws.integers(0, 24, 150)
    kept = draws.random((150, scene_set.kinds.shape[1])) < 0.6
    labels = scene_set.labels_of(rows, kept)
    for row, state, label in zip(rows, kept, labels, strict=True):
        values = {sympy.Symbol(f"I{j + 1}"): bool(keep) for j, keep in enumerate(state)}
        assert [bool(SCENES[row].rule_of(c).subs(values)) for c in range(3)] == [c == label for c in range(3)]
    assert len(set(labels.tolist())) == 3


def test_whole_batches_are_the_scenes(scene_set: SceneSet) -> None:
    batches = list(scene_set.batches(8, 0.0, generator()))
    images = torch.cat([images for images, _ in batches])
    assert images.shape == (24, 3, 96, 96)
    seen = {
        image.numpy().tobytes(): int(label)
        for image, label in zip(images, torch.cat([b[1] for b in batches]), strict=True)
    }
    assert seen == {torch.from_numpy(scene.image).numpy().tobytes(): scene.label for scene in SCENES}


def test_an_incomplete_batch_is_left_out(scene_set: SceneSet) -> None:
    assert [len(labels) for _, labels in scene_set.batches(10, 0.5, generator())] == [10, 10]


def test_masked_batches_are_fixed_by_their_generator(scene_set: SceneSet) -> None:
    first, again, other = (next(scene_set.batches(24, 1.0, generator(seed)))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_occlusion_leaves_kept_pixels_alone(scene_set: SceneSet) -> None:
    images = scene_set.images.float() / 255.0
    kept = torch.rand(24, scene_set.kinds.shape[1], generator=generator(3)) < 0.5
    changed = occlude(images, scene_set.regions, kept, generator(4))
    for image, result, regions, state in zip(images, changed, scene_set.regions, kept, strict=True):
        here = state[regions.long() - 1]
        assert torch.equal(image[:, here], result[:, here])
        assert (image[:, ~here] != result[:, ~here]).float().mean() > 0.9


def test_baselines_are_drawn_in_their_shares() -> None:
    assert sum(BASELINES.values()) == pytest.approx(1.0)
    images = torch.full((2000, 3, 4, 4), 0.5)
    nothing = torch.zeros(2000, 1, dtype=torch.bool)
    filled = occlude(images, torch.ones(2000, 4, 4, dtype=torch.uint8), nothing, generator())
    shares = {
        "black": (filled == 0.0).flatten(1).all(dim=1).float().mean().item(),
        "white": (filled == 1.0).flatten(1).all(dim=1).float().mean().item(),
        "noise": (filled.flatten(1).std(dim=1) > 0.01).float().mean().item(),
    }
    assert shares == pytest.approx({name: BASELINES[name] for name in shares}, abs=0.04)


def test_baselines_by_hand() -> None:
    images = torch.stack([torch.zeros(3, 16, 16), torch.full((3, 16, 16), 0.25)])
    images[0, 1, :4] = 1.0
    mean = baseline("mean", images, generator())
    torch.testing.assert_close(mean[0, :, 7, 3], torch.tensor([0.0, 0.25, 0.0]))
    torch.testing.assert_close(baseline("blur", images, generator())[1], images[1])
    assert torch.equal(baseline("black", images, generator()), torch.zeros_like(images))
    assert torch.equal(baseline("white", images, generator()), torch.ones_like(images))
    noise = baseline("noise", images, generator())
    assert 0.0 <= noise.min() < 0.05
    assert 0.95 < noise.max() < 1.0


def test_blur_takes_the_detail_away() -> None:
    image = torch.from_numpy(draw_scene(0, config=SceneConfig(size=100)).image)[None]
    blurred = baseline("blur", image, generator())
    assert blurred.shape == image.shape
    assert blurred.diff(dim=3).abs().max() < 0.1 < image.diff(dim=3).abs().max()
    torch.testing.assert_close(blurred.mean(), image.mean(), atol=0.03, rtol=0.0)


def test_masked_images_can_keep_the_class_of_the_whole_scene(scene_set: SceneSet) -> None:
    remaining, whole = (next(scene_set.batches(24, 1.0, generator(1), which)) for which in (True, False))
    assert torch.equal(remaining[0], whole[0])
    assert sorted(whole[1].tolist()) == sorted(scene_set.labels.tolist())
    assert (remaining[1] <= whole[1]).all()
    assert (remaining[1] < whole[1]).any()
