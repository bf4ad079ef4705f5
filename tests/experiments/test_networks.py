"""Small networks on scenes, and one that is told classes in words."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
pytest.importorskip("filelock", reason="needs filelock (the study extra)")
pytest.importorskip("matplotlib", reason="needs matplotlib (the study extra)")
import math

from hypothesis import given, settings
from hypothesis import strategies as some
from torch import Tensor, nn

from captum_focalogic.demo.rules import COLOURS, SHAPES, ObjectKind, labels_met
from captum_focalogic.demo.scenes import Scene, SceneConfig, draw_scene
from captum_focalogic.demo.train import TrainingConfig
from captum_focalogic.errors import InputError
from captum_focalogic.experiments import networks
from captum_focalogic.experiments.networks import (
    ARCHITECTURES,
    MENTIONED,
    SIDE,
    WORDS,
    Contrastive,
    NearestDescription,
    caption,
    descriptions,
    symmetric_loss,
    tokens_of,
    train_contrastive,
    zero_shot,
)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_networks_are_small_and_answer_for_each_image_alone(name: str) -> None:
    torch.manual_seed(0)
    model = ARCHITECTURES[name].make().eval()
    # torchvision starts the last layer of its transformers at 0
    torch.nn.init.normal_([layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)][-1].weight)
    images = torch.rand(3, 3, SIDE, SIDE)
    with torch.no_grad():
        logits = model(images)
        torch.testing.assert_close(model(images[1:2]), logits[1:2], rtol=1e-4, atol=1e-5)
    assert logits.shape == (3, 3)
    assert not torch.allclose(logits[0], logits[1])
    assert sum(parameter.numel() for parameter in model.parameters()) < 500_000


SMALL = TrainingConfig(scenes=64, epochs=2, batch_size=32, learning_rate=2e-3, scene=SceneConfig(size=64))


kinds = some.lists(some.builds(ObjectKind, some.sampled_from(COLOURS), some.sampled_from(SHAPES)), max_size=6)


def kinds_of(text: str) -> list[ObjectKind]:
    words = text.split()[1:]
    return [ObjectKind(colour, shape) for colour, shape in zip(words[::2], words[1::2], strict=True)]


def test_captions_become_tokens_and_are_filled_up() -> None:
    text = caption((ObjectKind("red", "disc"), ObjectKind("blue", "square")))
    (row,) = tokens_of([text]).tolist()
    assert text == "scene red disc blue square"
    assert [WORDS[token] for token in row] == ["scene", "red", "disc", "blue", "square", "", ""]
    with pytest.raises(InputError, match="do not know dog"):
        tokens_of(["scene red dog"])


def test_each_description_is_of_its_class_and_of_no_other() -> None:
    told = descriptions()
    assert sorted(told) == [0, 1, 2]
    assert told[1] == ("scene red disc blue square", "scene red disc green triangle")
    for label, texts in told.items():
        for text in texts:
            assert labels_met(kinds_of(text)) == ((label,) if label else ())


@settings(max_examples=100, deadline=None)
@given(kinds, some.integers(0, 1_000))
def test_captions_mention_what_is_there_and_nothing_twice(shown: list[ObjectKind], seed: int) -> None:
    mentioned = networks._mentioned(shown, torch.Generator().manual_seed(seed))
    assert set(mentioned) <= set(shown)
    assert len(set(mentioned)) == len(mentioned) <= MENTIONED


def test_every_object_is_mentioned_at_times_and_sometimes_none() -> None:
    shown = [
        ObjectKind("red", "disc"),
        ObjectKind("blue", "square"),
        ObjectKind("white", "star"),
        ObjectKind("teal", "ring"),
    ]
    generator = torch.Generator().manual_seed(0)
    said = [tuple(networks._mentioned(shown, generator)) for _ in range(400)]
    assert {len(one) for one in said} == {0, 1, 2, 3}
    assert {kind for one in said for kind in one} == set(shown)
    # a tenth, and 400 draws are within 4 standard deviations of it
    assert abs(sum(not one for one in said) / 400 - networks.WORDLESS) < 0.06


def test_the_loss_by_hand() -> None:
    assert symmetric_loss(torch.zeros(2, 2)).item() == pytest.approx(math.log(2))
    # rows (log 3, 0), (0, 0): -log 3/4 and log 2, the same by columns
    assert symmetric_loss(torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])).item() == pytest.approx(
        (math.log(4 / 3) + math.log(2)) / 2
    )
    # rows: log 2 and -log(1/4); columns: -log(1/4) and log 2, all twice
    lopsided = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    assert symmetric_loss(lopsided).item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_filling_up_does_not_change_what_is_read() -> None:
    torch.manual_seed(0)
    model = Contrastive().eval()
    tokens = tokens_of(["scene red disc"])
    with torch.no_grad():
        torch.testing.assert_close(model.embed_texts(tokens), model.embed_texts(tokens[:, :3]))
        words = model.embed_texts(tokens_of(["scene red disc blue square", "scene blue disc red square"]))
    assert not torch.allclose(words[0], words[1]), "the order of words binds colours to shapes"


def test_a_class_has_the_score_of_its_best_description() -> None:
    class Scores(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1)[:, :4]

    images = torch.tensor([[0.1, 0.4, 0.3, 0.2], [0.9, 0.0, 0.5, 0.6]]).view(2, 1, 2, 2)
    scores = NearestDescription(Scores(), [0, 1, 0, 2])(images)
    torch.testing.assert_close(scores, torch.tensor([[0.3, 0.4, 0.2], [0.9, 0.0, 0.6]]))


def scenes(config: TrainingConfig) -> list[Scene]:
    return [draw_scene(seed, config=config.scene) for seed in range(config.scenes)]


@pytest.fixture(scope="module")
def model() -> Contrastive:
    return train_contrastive(SMALL, scenes(SMALL))


def test_what_it_learns_does_not_depend_on_classes(model: Contrastive) -> None:
    mislabelled = [replace(scene, label=(scene.label + 1) % 3) for scene in scenes(SMALL)]
    again = train_contrastive(SMALL, mislabelled)
    for name, values in model.state_dict().items():
        assert torch.equal(values, again.state_dict()[name]), name


def test_training_brings_images_and_their_captions_together() -> None:
    config = replace(SMALL, scenes=32, epochs=30, batch_size=16, masked_share=0.0)
    shown = scenes(config)
    images = torch.stack([torch.from_numpy(scene.image) for scene in shown])
    tokens = tokens_of([caption([item.kind for item in scene.objects][:MENTIONED]) for scene in shown])
    model = train_contrastive(config, shown)
    with torch.no_grad():
        loss = symmetric_loss(model(images, tokens))
    # guessing costs the logarithm of the number of captions
    assert loss < math.log(len(shown)) - 1


def test_the_classifier_scores_all_classes_of_whole_batches(model: Contrastive) -> None:
    classifier = zero_shot(model, 64)
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        scores = classifier(images)
        direct = model(images, tokens_of([text for label in (0, 1, 2) for text in descriptions()[label]]))
    assert scores.shape == (3, 3)
    counts = [len(descriptions()[label]) for label in (0, 1, 2)]
    best = torch.stack([part.amax(dim=1) for part in direct.split(counts, dim=1)], dim=1)
    torch.testing.assert_close(scores, best, rtol=1e-4, atol=1e-4)
