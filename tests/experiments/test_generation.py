"""What generated images show, and a real pipeline of a diffusion model, tiny and with random weights."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from captum_focalogic.errors import HubError, InputError, MissingExtraError
from captum_focalogic.experiments import generation
from captum_focalogic.experiments.generation import (
    KINDS,
    all_prompts,
    generate_images,
    load_pipeline,
    main,
    prompt_classes,
    prompts,
)
from captum_focalogic.experiments.published import PROMPTS, UNBIASED_CLASSES

WORDS = json.loads(Path(generation.__file__).with_name("prompts.json").read_text())


COUNT = 200
BIASED = [one for one in prompt_classes() if one.colour]


def parts(text, biased):
    """Colour, place and company that a prompt speaks of."""
    colour = next(c for c in biased.colours if f" {c} {biased.name}" in text)
    place = next(p for p in WORDS["places"] if text.endswith(p))
    company = [c for c in WORDS["companions"] if f"next to {c} " in text]
    return colour, place, company[0] if company else None


@pytest.mark.parametrize("biased", BIASED, ids=lambda biased: biased.name)
def test_a_bias_fixes_one_thing_and_leaves_the_others_varied(biased):
    shown = {kind: [parts(prompt.text, biased) for prompt in prompts(kind, biased, COUNT)] for kind in KINDS}
    colours, places = set(biased.colours), set(WORDS["places"])
    company = {*WORDS["companions"], None}
    expected = {
        "unbiased": (colours, places, company),
        "colour": ({biased.colour}, places, company),
        "background": (colours, {biased.place}, company),
        "companion": (colours, places, {biased.companion}),
        "test": (colours, places, company),
    }
    for kind, all_of in expected.items():
        assert tuple(map(set, zip(*shown[kind], strict=True))) == all_of


def test_what_a_bias_ties_to_a_class_it_ties_to_no_other():
    for tied in ("colour", "place", "companion"):
        values = [getattr(biased, tied) for biased in BIASED]
        assert len(set(values)) == len(values)
    for biased in BIASED:
        assert biased.colour in biased.colours
        assert biased.place in WORDS["places"]
        assert biased.companion in WORDS["companions"]


@pytest.mark.parametrize("plain", [one for one in prompt_classes() if not one.colour], ids=lambda plain: plain.name)
def test_a_class_without_ties_is_as_varied_in_every_set(plain):
    every = (set(plain.colours), set(WORDS["places"]), {*WORDS["companions"], None})
    for kind in KINDS:
        shown = [parts(prompt.text, plain) for prompt in prompts(kind, plain, COUNT)]
        assert tuple(map(set, zip(*shown, strict=True))) == every


def test_the_papers_classes_are_biased_as_the_papers_are():
    by_name = {one.name: one for one in prompt_classes()}
    assert {one.name for one in BIASED} == set(PROMPTS)
    # ImageNet's weights write the telephone with a hyphen
    assert {name.replace("-", "") for name in set(by_name) - set(PROMPTS)} == set(UNBIASED_CLASSES)
    for name, published in PROMPTS.items():
        tied = {"colour": "colour", "background": "place", "companion": "companion"}[published.bias]
        assert published.tied in getattr(by_name[name], tied)


def test_classes_are_imagenets():
    from torchvision.models import ResNet50_Weights

    assert {biased.name for biased in prompt_classes()} <= set(ResNet50_Weights.DEFAULT.meta["categories"])


def test_articles_fit():
    texts = [prompt.text for prompt in all_prompts(COUNT, COUNT)]
    assert any(" an orange coffee mug" in text for text in texts)
    assert not any(f" a {vowel}" in text for text in texts for vowel in "aeiou")


def test_prompts_repeat_and_have_files_of_their_own():
    first, second = all_prompts(3, 2), all_prompts(3, 2)
    assert first == second
    assert len({prompt.file for prompt in first}) == len(first) == len(prompt_classes()) * (4 * 3 + 2)
    assert prompts("test", prompt_classes()[0], 1)[0].file == f"test/{prompt_classes()[0].name}/0000.png"
    # more images do not change the first ones
    assert prompts("colour", prompt_classes()[1], 5)[:3] == prompts("colour", prompt_classes()[1], 3)


def test_unknown_kinds_are_refused():
    with pytest.raises(InputError, match="unbiased, colour, background, companion, test"):
        prompts("weather", prompt_classes()[0], 1)


FAST = {"num_inference_steps": 2, "height": 32, "width": 32}


class Painter:
    """Stands in for a pipeline: paints noise, and says what it was asked."""

    def __init__(self, objections=0):
        self.asked, self.objections = [], objections

    def __call__(self, prompt, generator, **options):
        self.asked.append(prompt)
        objects = len(self.asked) <= self.objections
        pixels = torch.randint(0 if not objects else 255, 256, (8, 8, 3), generator=generator, dtype=torch.uint8)
        return SimpleNamespace(images=[Image.fromarray(pixels.numpy())], nsfw_content_detected=[objects])


def words():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = sorted({word for prompt in all_prompts(20, 20) for word in prompt.text.split()})
    vocabulary = {word: place for place, word in enumerate(["<pad>", "<s>", "</s>", *known])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<pad>", eos_token="</s>", model_max_length=16
    ), len(vocabulary)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Stable Diffusion pipeline of the real classes, saved as one from the hub is."""
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed (extra 'diffusers')")
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    tokenizer, size = words()
    pipeline = diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
            latent_channels=4,
            norm_num_groups=4,
        ),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=size,
                hidden_size=16,
                intermediate_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=16,
            )
        ),
        tokenizer=tokenizer,
        unet=diffusers.UNet2DConditionModel(
            block_out_channels=(8, 8),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=16,
            attention_head_dim=2,
            norm_num_groups=4,
        ),
        scheduler=diffusers.DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    path = tmp_path_factory.mktemp("diffusion") / "model"
    pipeline.save_pretrained(path)
    return path


def test_a_stable_diffusion_pipeline_makes_images(folder, tmp_path):
    wanted = [prompt for kind in ("unbiased", "colour") for prompt in prompts(kind, prompt_classes()[0], 2)]
    paths = generate_images(folder, tmp_path / "out", wanted, **FAST)
    assert [str(path.relative_to(tmp_path / "out")) for path in paths] == [prompt.file for prompt in wanted]
    pixels = [np.asarray(Image.open(path)) for path in paths]
    assert all(image.shape == (32, 32, 3) and image.std() > 0 for image in pixels)
    assert len({image.tobytes() for image in pixels}) == 4
    # one image made alone, by a pipeline at hand, is the same
    (alone,) = generate_images(load_pipeline(folder), tmp_path / "alone", wanted[2:3], **FAST)
    assert alone.read_bytes() == paths[2].read_bytes()
    (other,) = generate_images(folder, tmp_path / "other", wanted[2:3], seed=1, **FAST)
    assert other.read_bytes() != paths[2].read_bytes()


def test_images_that_exist_are_not_made_again(tmp_path):
    wanted = prompts("companion", prompt_classes()[1], 4)
    painter = Painter()
    paths = generate_images(painter, tmp_path, wanted)
    assert painter.asked == [prompt.text for prompt in wanted]
    octets = [path.read_bytes() for path in paths]
    paths[2].unlink()
    again = Painter()
    assert generate_images(again, tmp_path, wanted) == paths
    assert again.asked == [wanted[2].text]
    assert [path.read_bytes() for path in paths] == octets
    # nothing is loaded where nothing is missing
    assert generate_images("no/such-model", tmp_path, wanted) == paths


def test_blackened_images_are_tried_again(tmp_path):
    wanted = prompts("unbiased", prompt_classes()[0], 1)
    painter = Painter(objections=2)
    (path,) = generate_images(painter, tmp_path / "a", wanted)
    assert len(painter.asked) == 3
    assert np.asarray(Image.open(path)).min() < 255
    with pytest.raises(InputError, match="safety checker"):
        generate_images(Painter(objections=100), tmp_path / "b", wanted)
    assert not list((tmp_path / "b").rglob("*.png"))


def test_a_hub_out_of_reach_says_what_to_do(monkeypatch, tmp_path):
    pytest.importorskip("diffusers", reason="diffusers is not installed (extra 'diffusers')")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="give a local folder"):
        load_pipeline("captum-focalogic/does-not-exist")
    with pytest.raises(InputError, match="there is no folder"):
        load_pipeline("./missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="cannot be loaded"):
        load_pipeline(tmp_path / "empty")


def test_without_diffusers_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingExtraError, match=r"captum-focalogic\[diffusers\]"):
        load_pipeline(tmp_path)


def test_the_command_lists_prompts(capsys, tmp_path):
    main([str(tmp_path), "--list", "--train", "2", "--test", "1"])
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == len(prompt_classes()) * (4 * 2 + 1)
    assert lines[0] == [str(tmp_path / prompts("unbiased", prompt_classes()[0], 1)[0].file), all_prompts(1, 0)[0].text]
    assert not list(tmp_path.iterdir())


def test_the_command_makes_images_and_needs_a_model(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(generation, "load_pipeline", lambda model, device: Painter())
    main([str(tmp_path), "--model", "some/model", "--train", "1", "--test", "1", "--device", "cpu"])
    assert f"{len(prompt_classes()) * 5} images" in capsys.readouterr().out
    assert len(list(tmp_path.rglob("*.png"))) == len(prompt_classes()) * 5
    with pytest.raises(SystemExit) as left:
        main([str(tmp_path)])
    assert left.value.code == 2
    assert "--model is needed" in capsys.readouterr().err
