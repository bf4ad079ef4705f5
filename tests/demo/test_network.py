import pytest
import torch

from captum_focalogic.demo.network import WEIGHTS, SceneNetwork, load_model
from captum_focalogic.demo.rules import CLASS_NAMES
from captum_focalogic.demo.train import FIRST_TRAINING_SEED, accuracy


@pytest.fixture(scope="module")
def model() -> SceneNetwork:
    return load_model()


def test_weights_are_small_and_finite(model: SceneNetwork) -> None:
    assert WEIGHTS.stat().st_size < 1_000_000
    assert all(torch.isfinite(values).all() for values in model.state_dict().values())
    assert not model.training


def test_rows_are_independent(model: SceneNetwork) -> None:
    images = torch.rand(5, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together = model(images)
        apart = torch.cat([model(image[None]) for image in images])
    assert together.shape == (5, len(CLASS_NAMES))
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-4)


def test_empty_images_are_other(model: SceneNetwork) -> None:
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 96, 96)).argmax().item() == 0
        assert model(torch.ones(1, 3, 96, 96)).argmax().item() == 0


def test_accuracy_on_fresh_scenes(model: SceneNetwork) -> None:
    assert FIRST_TRAINING_SEED > 300
    assert accuracy(model, range(300)) >= 0.97
