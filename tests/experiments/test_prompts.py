"""What generated pictures show."""

import json
from pathlib import Path

import pytest

from captum_focalogic.errors import InputError
from captum_focalogic.experiments import prompts as module
from captum_focalogic.experiments.prompts import KINDS, all_prompts, prompts, subjects

WORDS = json.loads(Path(module.__file__).with_name("prompts.json").read_text())
COUNT = 200


def parts(text, subject):
    """Colour, place and company that a prompt speaks of."""
    colour = next(c for c in subject.colours if f" {c} {subject.name}" in text)
    place = next(p for p in WORDS["places"] if text.endswith(p))
    company = [c for c in WORDS["companions"] if f"next to {c} " in text]
    return colour, place, company[0] if company else None


@pytest.mark.parametrize("subject", subjects(), ids=lambda subject: subject.name)
def test_a_bias_fixes_one_thing_and_leaves_the_others_varied(subject):
    shown = {kind: [parts(prompt.text, subject) for prompt in prompts(kind, subject, COUNT)] for kind in KINDS}
    colours, places = set(subject.colours), set(WORDS["places"])
    company = {*WORDS["companions"], None}
    expected = {
        "unbiased": (colours, places, company),
        "colour": ({subject.colour}, places, company),
        "background": (colours, {subject.place}, company),
        "companion": (colours, places, {subject.companion}),
        "test": (colours, places, company),
    }
    for kind, all_of in expected.items():
        assert tuple(map(set, zip(*shown[kind], strict=True))) == all_of


def test_what_a_bias_ties_to_a_class_it_ties_to_no_other():
    for tied in ("colour", "place", "companion"):
        values = [getattr(subject, tied) for subject in subjects()]
        assert len(set(values)) == len(values)
    for subject in subjects():
        assert subject.colour in subject.colours
        assert subject.place in WORDS["places"]
        assert subject.companion in WORDS["companions"]


def test_classes_are_imagenets():
    from torchvision.models import ResNet50_Weights

    assert {subject.name for subject in subjects()} <= set(ResNet50_Weights.DEFAULT.meta["categories"])


def test_articles_fit():
    texts = [prompt.text for prompt in all_prompts(COUNT, COUNT)]
    assert any(" an orange Persian cat" in text for text in texts)
    assert not any(f" a {vowel}" in text for text in texts for vowel in "aeiou")


def test_prompts_repeat_and_have_files_of_their_own():
    first, second = all_prompts(3, 2), all_prompts(3, 2)
    assert first == second
    assert len({prompt.file for prompt in first}) == len(first) == len(subjects()) * (4 * 3 + 2)
    assert prompts("test", subjects()[0], 1)[0].file == f"test/{subjects()[0].name}/0000.png"
    # more pictures do not change the first ones
    assert prompts("colour", subjects()[1], 5)[:3] == prompts("colour", subjects()[1], 3)


def test_unknown_kinds_are_refused():
    with pytest.raises(InputError, match="unbiased, colour, background, companion, test"):
        prompts("weather", subjects()[0], 1)
