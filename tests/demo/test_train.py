import pytest
import torch

from captum_focalogic.demo.batches import SceneSet
from captum_focalogic.demo.network import SceneNetwork
from captum_focalogic.demo.train import TrainingConfig, accuracy, draw_training_set, train
from captum_focalogic.errors import InputError

CONFIG = TrainingConfig(seed=5, scenes=128, epochs=5, batch_size=32, learning_rate=4e-3, masked_share=0.5)


@pytest.fixture(scope="module")
def scenes() -> SceneSet:
    return draw_training_set(CONFIG)


@pytest.fixture(scope="module")
def run(scenes: SceneSet) -> tuple[SceneNetwork, list[float]]:
    return train(CONFIG, scenes)


def test_the_loss_falls(run: tuple[SceneNetwork, list[float]]) -> None:
    model, losses = run
    assert len(losses) == 20
    assert sum(losses[-4:]) / 4 < 0.9 * sum(losses[:4]) / 4
    assert not model.training


def test_one_seed_gives_one_set_of_weights(run: tuple[SceneNetwork, list[float]], scenes: SceneSet) -> None:
    torch.manual_seed(99)
    again, losses = train(CONFIG, scenes)
    assert losses == run[1]
    for name, values in run[0].state_dict().items():
        assert torch.equal(values, again.state_dict()[name]), name


def test_another_seed_gives_other_weights(run: tuple[SceneNetwork, list[float]], scenes: SceneSet) -> None:
    other, _ = train(TrainingConfig(seed=6, scenes=128, epochs=1, batch_size=32), scenes)
    assert not torch.equal(other.state_dict()["head.0.weight"], run[0].state_dict()["head.0.weight"])


def test_training_leaves_torch_as_it_was(scenes: SceneSet) -> None:
    before = torch.get_num_threads(), torch.get_rng_state()
    train(TrainingConfig(scenes=128, epochs=1, batch_size=64), scenes)
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_accuracy_counts_right_answers() -> None:
    class AlwaysOne(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([0.0, 1.0, 0.0]).expand(len(images), 3)

    from captum_focalogic.demo.scenes import draw_scene

    expected = sum(draw_scene(seed).label == 1 for seed in range(90)) / 90
    assert accuracy(AlwaysOne(), range(90)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"batch_size": 0}, "batch_size is 0"), ({"scenes": 10}, "number of scenes, 10"), ({"epochs": 0}, "epochs is 0")],
)
def test_bad_configurations_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainingConfig(**options)  # type: ignore[arg-type]


def test_too_few_scenes_are_refused(scenes: SceneSet) -> None:
    with pytest.raises(InputError, match="128 scenes do not fill a batch of 200"):
        train(TrainingConfig(batch_size=200), scenes)


def test_any_architecture_is_trained_from_a_start_that_the_seed_fixes(scenes: SceneSet) -> None:
    def network() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 3))

    seen: list[tuple[int, bytes]] = []

    def keep(epoch: int, model: torch.nn.Module) -> None:
        assert model.training
        seen.append((epoch, model.state_dict()["2.weight"].numpy().tobytes()))

    config = TrainingConfig(scenes=128, epochs=3, batch_size=32)
    model, _ = train(config, scenes, network=network, on_epoch=keep)
    again, _ = train(config, scenes, network=network)
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert len({weights for _, weights in seen}) == 3
    assert seen[-1][1] == model.state_dict()["2.weight"].numpy().tobytes()
    assert torch.equal(model.state_dict()["2.weight"], again.state_dict()["2.weight"])
