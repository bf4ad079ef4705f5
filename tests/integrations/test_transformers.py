"""What transformers runs: the real classes, small and with random weights."""

import copy
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import normalize

from captum_focalogic import FocaLogic, explain_image
from captum_focalogic.classifier import find_classifier
from captum_focalogic.errors import HubError, InputError, MissingExtraError
from captum_focalogic.images import CentreCrop, Stretch
from captum_focalogic.integrations.transformers import ChatModel, TransformersSegmenter, load_classifier, load_clip
from captum_focalogic.oracle.forward import as_rows
from captum_focalogic.study.settings import setting_text

pytest.importorskip("transformers", reason="transformers is not installed (extra 'transformers')")

import tiny_transformers as tiny
import transformers as tf

CLIP_TEMPLATE = "a photo of a {}."


@pytest.fixture
def clip_images():
    side = tiny.CLIP_SIDE
    return torch.from_numpy(np.random.default_rng(0).random((4, 3, side, side), dtype=np.float32))


@pytest.fixture
def clip():
    return tiny.clip()


def test_clip_scores_are_the_models_own(clip, clip_images):
    model, tokenizer, processor = clip
    classifier = load_clip(
        model, tiny.CLIP_LABELS, templates=CLIP_TEMPLATE, tokenizer=tokenizer, image_processor=processor
    )
    tokens = tokenizer([CLIP_TEMPLATE.replace("{}", label) for label in tiny.CLIP_LABELS], return_tensors="pt")
    pixels = processor(images=list(clip_images), do_rescale=False, return_tensors="pt")["pixel_values"]
    expected = model(
        input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], pixel_values=pixels
    ).logits_per_image
    assert torch.allclose(classifier.forward(clip_images), expected, atol=1e-4)


def test_siglip_has_a_bias_and_stretches(clip_images):
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = tf.SiglipTextConfig(**small, vocab_size=16, max_position_embeddings=16, projection_size=16)
    vision = tf.SiglipVisionConfig(**small, image_size=tiny.CLIP_SIDE, patch_size=8)
    model = tf.SiglipModel(tf.SiglipConfig(text_config=text.to_dict(), vision_config=vision.to_dict())).eval()
    torch.nn.init.constant_(model.logit_bias, -3.0)
    processor = tf.SiglipImageProcessor(size={"height": tiny.CLIP_SIDE, "width": tiny.CLIP_SIDE})
    tokenizer = tiny.clip_tokenizer()
    classifier = load_clip(
        model, tiny.CLIP_LABELS, templates=CLIP_TEMPLATE, tokenizer=tokenizer, image_processor=processor
    )
    tokens = tokenizer(
        [CLIP_TEMPLATE.replace("{}", label) for label in tiny.CLIP_LABELS],
        padding="max_length",
        max_length=16,
        return_tensors="pt",
    )
    pixels = processor(images=list(clip_images), do_rescale=False, return_tensors="pt")["pixel_values"]
    expected = model(input_ids=tokens["input_ids"], pixel_values=pixels).logits_per_image
    assert torch.allclose(classifier.forward(clip_images), expected, atol=1e-4)
    assert isinstance(classifier.preprocess.keywords["fit"], Stretch)


def test_classes_are_means_over_templates(clip, clip_images):
    model, tokenizer, processor = clip
    templates = ["a photo of a {}.", "an {}", "{}?"]
    classifier = load_clip(model, tiny.CLIP_LABELS, templates=templates, tokenizer=tokenizer, image_processor=processor)
    rows = []
    for label in tiny.CLIP_LABELS:
        own = [model.get_text_features(**tokens_of(tokenizer, t.replace("{}", label))) for t in templates]
        own = [normalize(getattr(row, "pooler_output", row), dim=-1)[0] for row in own]
        rows.append(normalize(torch.stack(own).mean(0), dim=-1))
    assert torch.allclose(classifier.forward.classes, torch.stack(rows), atol=1e-5)


def tokens_of(tokenizer, sentence):
    tokens = tokenizer([sentence], return_tensors="pt")
    return {key: tokens[key] for key in ("input_ids", "attention_mask")}


@pytest.mark.filterwarnings("ignore:example.s. 0. the baseline alone")
def test_a_zero_shot_classifier_is_explained(clip, clip_images):
    model, tokenizer, processor = clip
    classifier = load_clip(model, tiny.CLIP_LABELS, tokenizer=tokenizer, image_processor=processor)
    mask = (torch.arange(tiny.CLIP_SIDE) // 8).expand(tiny.CLIP_SIDE, tiny.CLIP_SIDE)
    focus = FocaLogic(classifier.forward).explain(clip_images[:1], feature_mask=mask)[0]
    assert focus.certificate.complete
    assert focus.target == int(classifier.forward(clip_images[:1]).argmax())


def test_clip_from_a_local_folder(clip, clip_images, tmp_path):
    for part in clip:
        part.save_pretrained(tmp_path)
    loaded = load_clip(tmp_path, tiny.CLIP_LABELS)
    model, tokenizer, processor = clip
    given = load_clip(model, tiny.CLIP_LABELS, tokenizer=tokenizer, image_processor=processor)
    assert torch.allclose(loaded.forward(clip_images), given.forward(clip_images), atol=1e-5)
    assert isinstance(loaded.preprocess.keywords["fit"], CentreCrop)


def test_other_sizes_are_refused(clip):
    model, tokenizer, processor = clip
    classifier = load_clip(model, tiny.CLIP_LABELS, tokenizer=tokenizer, image_processor=processor)
    with pytest.raises(InputError, match="takes images of 32x32 pixels"):
        classifier.forward(torch.zeros(1, 3, 40, 32))


def test_clip_that_is_not_there_is_said(monkeypatch, clip):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="openai/clip-vit-base-patch16 could not be fetched"):
        load_clip("openai/clip-vit-base-patch16", tiny.CLIP_LABELS)
    with pytest.raises(InputError, match="needs its tokenizer and its image_processor"):
        load_clip(clip[0], tiny.CLIP_LABELS)
    with pytest.raises(InputError, match="embeds no texts and images"):
        load_clip(clip[0].vision_model, tiny.CLIP_LABELS, tokenizer=clip[1], image_processor=clip[2])


LABELS = ["cat", "dog", "hot dog"]


QUESTION = "Which of {labels}?"


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).random((4, 3, 56, 56), dtype=np.float32))


@pytest.fixture(scope="module")
def parts():
    return tiny.qwen2_vl()


def chat(parts, labels=LABELS, **options):
    return ChatModel(parts[0], labels, processor=parts[1], question=QUESTION, **options)


def logits_after(parts, question, image, words):
    """What the model says next after some words of an answer, one image alone and without our code."""
    model, processor = parts
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
    text = processor.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
    picture = Image.fromarray((255 * image).round().byte().permute(1, 2, 0).numpy())
    inputs = processor(text=[f"{text} {words}".strip()], images=[picture], return_tensors="pt")
    with torch.no_grad():
        return model(**inputs).logits[0, -1]


def test_scores_are_the_probabilities_of_the_labels_tokens(parts, images):
    found = chat(parts)(images)
    ids = [parts[1].tokenizer.convert_tokens_to_ids(word) for word in ("cat", "dog", "hot")]
    for row, image in zip(found, images, strict=True):
        expected = logits_after(parts, "Which of cat, dog, hot dog?", image, "")[ids].log_softmax(0)
        assert torch.allclose(row, expected, atol=1e-3)
    assert torch.allclose(found.exp().sum(1), torch.ones(4), atol=1e-5)


def test_labels_with_a_common_beginning_are_told_apart_further_on(parts, images):
    labels = ["cat", "hot dog", "hot sled", "hot"]
    found = chat(parts, labels)(images)
    words = ["cat", "hot", "dog", "sled", "<|im_end|>"]
    cat, hot, dog, sled, end = (parts[1].tokenizer.convert_tokens_to_ids(word) for word in words)
    question = "Which of cat, hot dog, hot sled, hot?"
    for row, image in zip(found, images, strict=True):
        first = logits_after(parts, question, image, "")[[cat, hot]].log_softmax(0)
        second = logits_after(parts, question, image, "hot")[[dog, sled, end]].log_softmax(0)
        assert torch.allclose(row, torch.cat([first[:1], first[1] + second]), atol=1e-3)


def test_one_forward_serves_a_batch(parts, images, monkeypatch):
    model = chat(parts)
    calls = []
    forward = model.model.forward
    monkeypatch.setattr(model.model, "forward", lambda **inputs: calls.append(1) or forward(**inputs))
    model(images)
    assert len(calls) == 1


def test_a_study_tells_a_language_model_by_weights_labels_and_mode(parts):
    other = copy.deepcopy(parts[0])
    next(other.parameters()).data.add_(1)
    told = [chat(parts), chat((other, parts[1])), chat(parts, LABELS[:2]), chat(parts, mode="generate")]
    assert len(set(map(setting_text, told))) == 4
    assert setting_text(chat(parts)) == setting_text(told[0])


@pytest.mark.filterwarnings("ignore:example.s. 0. the baseline alone")
def test_a_language_model_is_explained(parts, images):
    mask = (torch.arange(56) // 28).expand(56, 56)
    focus = FocaLogic(chat(parts)).explain(images[:1], feature_mask=mask)[0]
    assert focus.certificate.complete
    assert focus.target == int(chat(parts)(images[:1]).argmax())


def test_generated_answers_are_read_strictly(parts, images, monkeypatch):
    model = chat(parts, mode="generate")
    before = setting_text(model)
    tokenizer = parts[1].tokenizer
    said = ["hot dog", "dog cat", "cat", "dog"]
    asked = {}

    def generate(input_ids, **options):
        asked.update(options)
        ended = [tokenizer(f"{text} <|im_end|>", add_special_tokens=False)["input_ids"] for text in said]
        rows = [row + [tokenizer.pad_token_id] * (3 - len(row)) for row in ended]
        return torch.cat([input_ids, torch.tensor(rows)], dim=1)

    monkeypatch.setattr(model.model, "generate", generate)
    with pytest.warns(UserWarning, match=r"outside the labels for 1 image\(s\).*'dog cat' 1 x"):
        scores = model(images)
    assert setting_text(model) == before
    assert scores.isnan().all(1).tolist() == [False, True, False, False]
    assert scores[[0, 2, 3]].argmax(1).tolist() == [2, 0, 1]
    assert model.outside == {"dog cat": 1}
    assert asked["do_sample"] is False
    assert asked["max_new_tokens"] == 2 + 8


@pytest.mark.filterwarnings("ignore:Qwen2VL")
def test_generation_really_runs(parts, images):
    model = chat(parts, mode="generate")
    scores = model(images)
    assert scores.shape == (4, 3)
    assert sum(model.outside.values()) == int(scores.isnan().all(1).sum())
    assert torch.equal(model(images).isnan(), scores.isnan())


def test_language_models_from_a_local_folder(parts, images, tmp_path):
    for part in parts:
        part.save_pretrained(tmp_path)
    loaded = ChatModel(tmp_path, LABELS, question=QUESTION, device="cpu")
    assert torch.allclose(loaded(images), chat(parts)(images), atol=1e-3)


def test_language_models_that_do_not_fit_are_refused(parts, monkeypatch):
    with pytest.raises(InputError, match="'cat' appears twice"):
        chat(parts, ["cat", "cat"])
    with pytest.raises(InputError, match="cannot tell 'cow' from 'pig'"):
        chat(parts, ["pig", "cow"])
    with pytest.raises(InputError, match="mode must be score or generate"):
        chat(parts, mode="ask")
    with pytest.raises(InputError, match="needs its processor"):
        ChatModel(parts[0], LABELS)
    processor = tiny.chat_processor()
    processor.chat_template = None
    with pytest.raises(InputError, match="no chat template"):
        ChatModel(parts[0], LABELS, processor=processor)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="Qwen/Qwen2-VL-2B-Instruct could not be fetched"):
        ChatModel("Qwen/Qwen2-VL-2B-Instruct", LABELS)


EVERYTHING = {"pred_iou_thresh": -1e9, "stability_score_thresh": -1, "crops_nms_thresh": 1}


@pytest.fixture
def image():
    coarse = torch.from_numpy(np.random.default_rng(1).random((1, 3, 5, 6), dtype=np.float32))
    return nn.functional.interpolate(coarse, (36, 60), mode="bilinear")[0].clamp(0, 1)


def kinds():
    for kind in tiny.BUILDERS:
        if kind == "edgetam":
            yield pytest.param(kind, marks=pytest.mark.skipif(not has_timm(), reason="EdgeTAM's backbone needs timm"))
        else:
            yield kind


def has_timm():
    try:
        import timm  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("kind", list(kinds()))
def test_every_kind_cuts_an_image(kind, image):
    segmenter = TransformersSegmenter(
        *tiny.build(kind), points_per_crop=3, points_per_batch=4, cache=None, **EVERYTHING
    )
    labels = segmenter(image)
    assert labels.shape == (36, 60)
    assert labels.dtype == np.int64
    # A mask for each of the three a point, for 3 x 3 points.
    masks = segmenter.masks(image)
    assert masks.shape == (27, 36, 60)
    assert not labels[~masks.any(axis=0)].any()
    assert len(np.unique(labels)) > 2
    assert np.array_equal(segmenter(image), labels)


@pytest.mark.parametrize("kind", ["sam", "sam2", "sam3_tracker"])
def test_points_cover_the_whole_of_an_oblong_image(kind, image):
    model, processor = tiny.build(kind)
    asked = []
    original = model.forward

    def spy(*args, **kwargs):
        asked.append(kwargs["input_points"].reshape(-1, 2))
        return original(*args, **kwargs)

    model.forward = spy
    TransformersSegmenter(model, processor, points_per_crop=4, cache=None, **EVERYTHING)(image)
    points = torch.cat(asked).double().numpy()
    side = tiny.SIDE if kind != "sam3_tracker" else 56
    across = side * (np.arange(4) + 0.5) / 4
    # SAM keeps the aspect ratio and pads below; its successors stretch, so rows must reach as far as columns.
    height = side * 36 / 60 if kind == "sam" else side
    down = height * (np.arange(4) + 0.5) / 4
    assert np.allclose(np.unique(points[:, 0]), across, atol=1)
    assert np.allclose(np.unique(points[:, 1]), down, atol=1)


def test_masks_are_kept_on_disk(image, tmp_path):
    options = {"points_per_crop": 2, "cache": tmp_path, **EVERYTHING}
    labels = TransformersSegmenter(*tiny.build("sam"), **options)(image)
    again = TransformersSegmenter(*tiny.build("sam"), **options)
    again._pipeline = type("Unused", (), {"model": again.network, "image_processor": again._pipeline.image_processor})
    assert np.array_equal(again(image), labels)
    TransformersSegmenter(*tiny.build("sam", seed=1), **options)(image)
    TransformersSegmenter(*tiny.build("sam"), **{**options, "points_per_crop": 3})(image)
    assert len(list(tmp_path.iterdir())) == 3


def test_mask_generators_from_a_local_folder(image, tmp_path):
    model, processor = tiny.build("sam")
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    options = {"points_per_crop": 2, "cache": None, **EVERYTHING}
    loaded = TransformersSegmenter(tmp_path, device="cpu", **options)
    assert np.array_equal(loaded(image), TransformersSegmenter(model, processor, **options)(image))


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_no_masks_is_said(image, kind):
    segmenter = TransformersSegmenter(*tiny.build(kind), points_per_crop=2, cache=None, pred_iou_thresh=1e9)
    with pytest.warns(UserWarning, match="found no mask.*raise points_per_crop"):
        assert len(np.unique(segmenter(image))) == 1


def test_what_cannot_be_loaded_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match=r"facebook/sam-vit-base could not be fetched.*a local folder"):
        TransformersSegmenter("facebook/sam-vit-base")
    with pytest.raises(InputError, match="there is no folder"):
        TransformersSegmenter(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be loaded with AutoModelForMaskGeneration"):
        TransformersSegmenter(tmp_path)
    with pytest.raises(InputError, match="needs its image_processor"):
        TransformersSegmenter(tiny.build("sam")[0])
    with pytest.raises(InputError, match="no option 'points_per_side'; it has points_per_crop"):
        TransformersSegmenter("any", points_per_side=3)


def test_models_that_generate_no_masks_are_refused():
    import transformers

    config = transformers.ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    with pytest.raises(InputError, match="generates no masks"):
        TransformersSegmenter(transformers.ViTModel(config), tiny.sam_processor())


def test_a_missing_package_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"captum-focalogic\[transformers\]"):
        TransformersSegmenter("facebook/sam-vit-base")


@pytest.fixture
def random_image():
    pixels = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((64, 48), Image.Resampling.BICUBIC)


def test_an_image_classifier_answers_as_its_own_pipeline_does(tmp_path, random_image):
    model, processor = tiny.image_classifier()
    processor.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    pipeline = tf.ImageClassificationPipeline(model=model, image_processor=processor)
    own = {found["label"]: found["score"] for found in pipeline(random_image)}
    for given in (
        load_classifier(model, processor),
        load_classifier(pipeline),
        find_classifier(f"transformers:{tmp_path}"),
    ):
        seen = given.preprocess(random_image)
        assert seen.shape == (3, 32, 32)
        assert 0 <= seen.min() <= seen.max() <= 1
        scores = as_rows(given.forward(seen[None]), 1).softmax(1)[0]
        assert {given.label_of(place): float(score) for place, score in enumerate(scores)} == pytest.approx(
            own, abs=0.01
        )


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_an_image_classifier_in_half_precision_answers_as_in_whole(tmp_path, random_image, precision):
    model, processor = tiny.image_classifier()
    whole = load_classifier(shaken(model), processor)
    seen = whole.preprocess(random_image)[None]
    expected = as_rows(whole.forward(seen), 1).softmax(1)
    half = copy.deepcopy(model).to(precision)
    half.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    for given in (load_classifier(half, processor), find_classifier(f"transformers:{tmp_path}")):
        assert torch.allclose(as_rows(given.forward(seen), 1).float().softmax(1), expected, atol=0.05)
    answer = explain_image(half, random_image, preprocess=processor, segmenter="grid:2x2", max_evaluations=30)
    assert answer.prediction.index == int(as_rows(load_classifier(half, processor).forward(seen), 1).argmax())


def shaken(model):
    """Weights that make a difference, as those of a fresh network may be zero."""
    torch.manual_seed(0)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


@pytest.mark.parametrize("kind", ["flipped and not normalised", "normalised twice", "not rescaled"])
def test_what_a_processor_does_to_colours_is_what_the_model_gets(kind, random_image):
    square = {"height": 32, "width": 32}
    if kind == "flipped and not normalised":
        config = tf.MobileViTConfig(
            image_size=32, hidden_sizes=[16, 16, 16], neck_hidden_sizes=[8, 8, 8, 16, 16, 16, 16], num_labels=3
        )
        model = tf.MobileViTForImageClassification(config)
        processor = tf.MobileViTImageProcessor(size={"shortest_edge": 32}, crop_size=square)
        assert processor.do_flip_channel_order
    elif kind == "normalised twice":
        config = tf.EfficientNetConfig(
            image_size=32, width_coefficient=0.2, depth_coefficient=0.1, hidden_dim=256, num_labels=3
        )
        model = tf.EfficientNetForImageClassification(config)
        processor = tf.EfficientNetImageProcessor(size=square)
        assert processor.include_top
    else:
        model, _ = tiny.image_classifier()
        processor = tf.ViTImageProcessor(size=square, do_rescale=False)
    image = random_image.resize((32, 32))
    given = load_classifier(shaken(model), processor)
    with torch.no_grad():
        expected = model(**processor(image, return_tensors="pt")).logits
        assert torch.allclose(as_rows(given.forward(given.preprocess(image)[None]), 1), expected, rtol=1e-3, atol=1e-3)


def test_a_convnext_is_cropped_as_its_own_processor_does(random_image):
    processor = tf.ConvNextImageProcessor(size={"shortest_edge": 28}, crop_pct=0.875)
    config = tf.ConvNextConfig(hidden_sizes=[8, 8], depths=[1, 1], num_stages=2, num_labels=3)
    model = tf.ConvNextForImageClassification(config)
    square = random_image.resize((64, 64))  # sides that scale to whole pixels: how a half is rounded is not meant
    seen = load_classifier(model, processor).preprocess(square)
    own = torch.as_tensor(processor(square, return_tensors="np")["pixel_values"][0])
    mean, std = (torch.tensor(values)[:, None, None] for values in (processor.image_mean, processor.image_std))
    assert (seen - (own * std + mean)).abs().mean() < 0.02


def test_a_model_or_pipeline_is_explained_as_it_is(random_image):
    model, processor = tiny.image_classifier()
    pipeline = tf.ImageClassificationPipeline(model=model, image_processor=processor)
    answer = explain_image(pipeline, random_image, segmenter="grid:2x2", max_evaluations=100)
    assert answer.prediction.name in tiny.CLIP_LABELS
    square = random_image.resize((32, 32))
    bare = explain_image(model, square, segmenter="grid:2x2", max_evaluations=100)
    assert bare.prediction.name in tiny.CLIP_LABELS
    direct = model(torch.from_numpy(np.array(square)).permute(2, 0, 1)[None] / 255).logits.softmax(1).max()
    assert bare.prediction.probability == pytest.approx(float(direct.detach()), abs=1e-4)


def test_models_that_give_no_class_scores_of_images_are_refused(clip):
    with pytest.raises(InputError, match="CLIPModel gives no class scores of images"):
        load_classifier(clip[0])
    with pytest.raises(InputError, match="a folder in place of the id"):
        find_classifier("transformers:some/id", "weights.pt")
