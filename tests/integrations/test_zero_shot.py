"""Zero-shot classifiers of open_clip and transformers: the real classes, small and with random weights."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from captum_focalogic import FocaLogic
from captum_focalogic.errors import HubError, InputError, MissingExtraError
from captum_focalogic.images import CentreCrop, Stretch
from captum_focalogic.integrations import open_clip as by_open_clip
from captum_focalogic.integrations import transformers_clip as by_transformers
from captum_focalogic.integrations.zero_shot import class_embeddings

LABELS = ["cat", "dog", "bird"]
TEMPLATE = "a photo of a {}."
SIDE = 32


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).random((4, 3, SIDE, SIDE), dtype=np.float32))


@pytest.fixture
def open_model():
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed (extra 'clip')")
    torch.manual_seed(0)
    vision = open_clip.CLIPVisionCfg(layers=1, width=16, head_width=8, patch_size=8, image_size=SIDE)
    text = open_clip.CLIPTextCfg(context_length=16, width=16, heads=2, layers=1)
    return open_clip.CLIP(16, vision, text).eval()


def words():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {
        word: index for index, word in enumerate(["<pad>", "<s>", "</s>", "a", "photo", "of", "an", *LABELS, ".", "?"])
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="?", eos_token="</s>", model_max_length=16
    )


@pytest.fixture
def clip():
    tf = pytest.importorskip("transformers", reason="transformers is not installed (extra 'transformers')")
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = tf.CLIPTextConfig(
        **small, vocab_size=16, max_position_embeddings=16, pad_token_id=0, bos_token_id=1, eos_token_id=2
    )
    vision = tf.CLIPVisionConfig(**small, image_size=SIDE, patch_size=8)
    config = tf.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8)
    processor = tf.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    return tf.CLIPModel(config).eval(), words(), processor


def test_open_clip_scores_are_the_models_own(open_model, images):
    import open_clip
    from open_clip import OPENAI_DATASET_STD as STD

    classifier = by_open_clip.load_classifier(open_model, LABELS, templates=[TEMPLATE])
    mean, std = (torch.tensor(value)[:, None, None] for value in (open_clip.OPENAI_DATASET_MEAN, STD))
    tokens = open_clip.SimpleTokenizer(context_length=16)([TEMPLATE.replace("{}", label) for label in LABELS])
    expected = open_model.get_logits((images - mean) / std, tokens)[0]
    assert torch.allclose(classifier.forward(images), expected, atol=1e-4)
    assert classifier.labels == LABELS
    assert classifier.preprocess(Image.new("RGB", (50, 90))).shape == (3, SIDE, SIDE)


def test_transformers_scores_are_the_models_own(clip, images):
    model, tokenizer, processor = clip
    classifier = by_transformers.load_classifier(
        model, LABELS, templates=TEMPLATE, tokenizer=tokenizer, image_processor=processor
    )
    tokens = tokenizer([TEMPLATE.replace("{}", label) for label in LABELS], return_tensors="pt")
    pixels = processor(images=list(images), do_rescale=False, return_tensors="pt")["pixel_values"]
    expected = model(
        input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], pixel_values=pixels
    ).logits_per_image
    assert torch.allclose(classifier.forward(images), expected, atol=1e-4)


def test_siglip_has_a_bias_and_stretches(images):
    tf = pytest.importorskip("transformers", reason="transformers is not installed (extra 'transformers')")
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = tf.SiglipTextConfig(**small, vocab_size=16, max_position_embeddings=16, projection_size=16)
    vision = tf.SiglipVisionConfig(**small, image_size=SIDE, patch_size=8)
    model = tf.SiglipModel(tf.SiglipConfig(text_config=text.to_dict(), vision_config=vision.to_dict())).eval()
    torch.nn.init.constant_(model.logit_bias, -3.0)
    processor = tf.SiglipImageProcessor(size={"height": SIDE, "width": SIDE})
    tokenizer = words()
    classifier = by_transformers.load_classifier(
        model, LABELS, templates=TEMPLATE, tokenizer=tokenizer, image_processor=processor
    )
    tokens = tokenizer(
        [TEMPLATE.replace("{}", label) for label in LABELS], padding="max_length", max_length=16, return_tensors="pt"
    )
    pixels = processor(images=list(images), do_rescale=False, return_tensors="pt")["pixel_values"]
    expected = model(input_ids=tokens["input_ids"], pixel_values=pixels).logits_per_image
    assert torch.allclose(classifier.forward(images), expected, atol=1e-4)
    assert isinstance(classifier.preprocess.keywords["fit"], Stretch)


def test_classes_are_means_over_templates(clip, images):
    model, tokenizer, processor = clip
    templates = ["a photo of a {}.", "an {}", "{}?"]
    classifier = by_transformers.load_classifier(
        model, LABELS, templates=templates, tokenizer=tokenizer, image_processor=processor
    )
    rows = []
    for label in LABELS:
        own = [model.get_text_features(**tokens_of(tokenizer, t.replace("{}", label))) for t in templates]
        own = [normalize(getattr(row, "pooler_output", row), dim=-1)[0] for row in own]
        rows.append(normalize(torch.stack(own).mean(0), dim=-1))
    assert torch.allclose(classifier.forward.classes, torch.stack(rows), atol=1e-5)


def tokens_of(tokenizer, sentence):
    tokens = tokenizer([sentence], return_tensors="pt")
    return {key: tokens[key] for key in ("input_ids", "attention_mask")}


@pytest.mark.filterwarnings("ignore:example.s. 0. the baseline alone")
def test_a_zero_shot_classifier_is_explained(clip, images):
    model, tokenizer, processor = clip
    classifier = by_transformers.load_classifier(model, LABELS, tokenizer=tokenizer, image_processor=processor)
    mask = (torch.arange(SIDE) // 8).expand(SIDE, SIDE)
    focus = FocaLogic(classifier.forward).explain(images[:1], feature_mask=mask)[0]
    assert focus.certificate.complete
    assert focus.target == int(classifier.forward(images[:1]).argmax())


def test_a_local_folder_is_loaded(clip, images, tmp_path):
    for part in clip:
        part.save_pretrained(tmp_path)
    loaded = by_transformers.load_classifier(tmp_path, LABELS)
    model, tokenizer, processor = clip
    given = by_transformers.load_classifier(model, LABELS, tokenizer=tokenizer, image_processor=processor)
    assert torch.allclose(loaded.forward(images), given.forward(images), atol=1e-5)
    assert isinstance(loaded.preprocess.keywords["fit"], CentreCrop)


def test_other_sizes_are_refused(clip):
    model, tokenizer, processor = clip
    classifier = by_transformers.load_classifier(model, LABELS, tokenizer=tokenizer, image_processor=processor)
    with pytest.raises(InputError, match="takes images of 32x32 pixels"):
        classifier.forward(torch.zeros(1, 3, 40, 32))


@pytest.mark.parametrize(
    ("labels", "templates", "message"),
    [
        (["cat", "cat"], TEMPLATE, "'cat' appears twice"),
        ([], TEMPLATE, "no labels"),
        (LABELS, "a photo", r"must have one \{\}"),
        (LABELS, ["{} and {}"], r"must have one \{\}"),
        (LABELS, [], r"must have one \{\}"),
    ],
)
def test_labels_and_templates_are_checked(labels, templates, message):
    with pytest.raises(InputError, match=message):
        class_embeddings(lambda sentences: torch.ones(len(sentences), 2), labels, templates)


def test_what_is_not_there_is_said(monkeypatch, tmp_path, clip):
    pytest.importorskip("open_clip", reason="open_clip is not installed (extra 'clip')")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"no model 'ViT-B16'; did you mean .*ViT-B-16"):
        by_open_clip.load_classifier("ViT-B16", LABELS)
    with pytest.raises(InputError, match="no weights 'best' for ViT-B-16; it has openai"):
        by_open_clip.load_classifier("ViT-B-16", LABELS, pretrained="best")
    with pytest.raises(HubError, match=r"weights of ViT-B-16 could not be fetched.*--weights FILE"):
        by_open_clip.load_classifier("ViT-B-16", LABELS)
    with pytest.raises(HubError, match="openai/clip-vit-base-patch16 could not be fetched"):
        by_transformers.load_classifier("openai/clip-vit-base-patch16", LABELS)
    with pytest.raises(InputError, match="needs its tokenizer and its image_processor"):
        by_transformers.load_classifier(clip[0], LABELS)
    with pytest.raises(InputError, match="embeds no texts and images"):
        by_transformers.load_classifier(clip[0].vision_model, LABELS, tokenizer=clip[1], image_processor=clip[2])
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MissingExtraError, match=r"captum-focalogic\[clip\]"):
        by_open_clip.load_classifier("ViT-B-16", LABELS)


def test_open_clip_weights_come_from_a_file(monkeypatch, tmp_path, open_model, images):
    import open_clip

    monkeypatch.setattr(open_clip, "create_model", lambda name, **_: type(open_model)(16, *open_model_parts(open_clip)))
    path = tmp_path / "clip.pth"
    torch.save(open_model.state_dict(), path)
    options = {"tokenizer": open_clip.SimpleTokenizer(context_length=16)}
    loaded = by_open_clip.load_classifier("ViT-B-16", LABELS, weights=path, **options)
    given = by_open_clip.load_classifier(open_model, LABELS)
    assert torch.allclose(loaded.forward(images), given.forward(images), atol=1e-5)
    with pytest.warns(UserWarning, match="ViT-B-16 has RANDOM weights"):
        by_open_clip.load_classifier("ViT-B-16", LABELS, weights="random", **options)


def open_model_parts(open_clip):
    vision = open_clip.CLIPVisionCfg(layers=1, width=16, head_width=8, patch_size=8, image_size=SIDE)
    return vision, open_clip.CLIPTextCfg(context_length=16, width=16, heads=2, layers=1)
