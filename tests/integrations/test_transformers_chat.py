"""Multimodal language models: the real classes of Qwen2-VL, small and with random weights."""

import numpy as np
import pytest
import torch
from PIL import Image

from captum_focalogic import FocaLogic
from captum_focalogic.errors import HubError, InputError
from captum_focalogic.integrations.transformers_chat import ChatModel

pytest.importorskip("transformers", reason="transformers is not installed (extra 'transformers')")

import tiny_chat as tiny

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


@pytest.mark.filterwarnings("ignore:example.s. 0. the baseline alone")
def test_a_language_model_is_explained(parts, images):
    mask = (torch.arange(56) // 28).expand(56, 56)
    focus = FocaLogic(chat(parts)).explain(images[:1], feature_mask=mask)[0]
    assert focus.certificate.complete
    assert focus.target == int(chat(parts)(images[:1]).argmax())


def test_generated_answers_are_read_strictly(parts, images, monkeypatch):
    model = chat(parts, mode="generate")
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


def test_a_local_folder_is_loaded(parts, images, tmp_path):
    for part in parts:
        part.save_pretrained(tmp_path)
    loaded = ChatModel(tmp_path, LABELS, question=QUESTION, device="cpu")
    assert torch.allclose(loaded(images), chat(parts)(images), atol=1e-3)


def test_what_does_not_fit_is_refused(parts, monkeypatch):
    with pytest.raises(InputError, match="'cat' appears twice"):
        chat(parts, ["cat", "cat"])
    with pytest.raises(InputError, match="cannot tell 'cow' from 'pig'"):
        chat(parts, ["pig", "cow"])
    with pytest.raises(InputError, match="mode must be score or generate"):
        chat(parts, mode="ask")
    with pytest.raises(InputError, match="needs its processor"):
        ChatModel(parts[0], LABELS)
    processor = tiny.processor()
    processor.chat_template = None
    with pytest.raises(InputError, match="no chat template"):
        ChatModel(parts[0], LABELS, processor=processor)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="Qwen/Qwen2-VL-2B-Instruct could not be fetched"):
        ChatModel("Qwen/Qwen2-VL-2B-Instruct", LABELS)
