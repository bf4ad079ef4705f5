"""Which label a language model means."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from captum_focalogic.errors import InputError
from captum_focalogic.integrations.answers import StrayAnswers, ask, read_answer, scores_of, token_choices

LABELS = ["cat", "Dog", "hot dog", "U.S."]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("cat", 0), (" Cat.\n", 0), ('"cat"', 0), ("**dog**", 1), ("hot dog", 2), ('{"label": "Hot Dog"}', 2),
        ("U.S.", 3), ("u.s", 3),
        ("It is a cat", None), ("not cat", None), ("cat or dog", None), ("", None), (None, None), ("hot", None),
        ('{"label": 3}', None), ('{"label": "cow"}', None), ('{"lab', None), ("{}", None), ("[]", None),
    ],
)  # fmt: skip
def test_only_the_label_itself_counts(text, label):
    assert read_answer(text, LABELS) == label


def test_labels_that_differ_in_capitals_need_them():
    assert read_answer("Polish", ["polish", "Polish"]) == 1
    assert read_answer("POLISH", ["polish", "Polish"]) is None


def test_scores_are_one_hot_or_unknown():
    scores = scores_of([1, None, 0], 3)
    assert torch.equal(scores[[0, 2]], torch.tensor([[0.0, 1, 0], [1, 0, 0]]))
    assert scores[1].isnan().all()
    assert scores_of([], 3).shape == (0, 3)


def test_questions_name_the_labels():
    assert ask("Of {labels}?", ["a", "b"]) == "Of a, b?"


def test_outside_answers_are_counted_over_calls():
    outside = StrayAnswers()
    outside.warn([], "m")
    with pytest.warns(
        UserWarning, match=r"m answered outside the labels for 3 image\(s\).*'cow' 2 x, '\(no text\)' 1 x"
    ):
        outside.warn(["cow", None, "cow"], "m")
    with pytest.warns(UserWarning, match="cow"):
        outside.warn(["cow"], "m")
    assert outside == {"cow": 3, "(no text)": 1}


END = 9


VOCABULARY = 10


def logits_after(prefix):
    """Two rows of logits, a fixed function of the prefix."""
    generator = torch.Generator().manual_seed(hash(prefix) % 2**31)
    return torch.randn(2, VOCABULARY, generator=generator)


def test_the_model_is_asked_only_where_there_is_a_choice():
    asked = []
    tree = token_choices([(1, 2), (3,), (4, 5, 6)], END, "abc")
    found = tree.log_probabilities(lambda prefix: asked.append(prefix) or logits_after(prefix))
    assert asked == [()]
    assert torch.allclose(found, logits_after(())[:, [1, 3, 4]].log_softmax(1))


def test_a_label_that_begins_another_ends_there():
    tree = token_choices([(1,), (1, 2), (1, 2, 3)], END, "abc")
    assert dict(tree.branches) == {(1,): (2, END), (1, 2): (3, END)}
    first = logits_after((1,))[:, [2, END]].log_softmax(1)
    second = logits_after((1, 2))[:, [3, END]].log_softmax(1)
    expected = torch.stack([first[:, 1], first[:, 0] + second[:, 1], first[:, 0] + second[:, 0]], dim=1)
    assert torch.allclose(tree.log_probabilities(logits_after), expected)


@given(st.sets(st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple), min_size=2, max_size=8))
def test_probabilities_are_those_of_a_model_that_can_say_nothing_else(labels):
    labels = sorted(labels)
    found = token_choices(labels, END, [str(label) for label in labels]).log_probabilities(logits_after)
    sequences = [(*label, END) for label in labels]
    for column, sequence in enumerate(sequences):
        expected = torch.zeros(2)
        for length in range(len(sequence)):
            allowed = sorted({other[length] for other in sequences if other[:length] == sequence[:length]})
            mask = torch.full((VOCABULARY,), -torch.inf)
            mask[allowed] = 0.0
            expected += (logits_after(sequence[:length]) + mask).log_softmax(1)[:, sequence[length]]
        assert torch.allclose(found[:, column], expected, atol=1e-5)
    assert torch.allclose(found.exp().sum(1), torch.ones(2), atol=1e-5)


def test_labels_must_differ_in_tokens():
    with pytest.raises(InputError, match="cannot tell 'B' from 'b'; name one of them otherwise"):
        token_choices([(1,), (2,), (2,)], END, ["a", "b", "B"])
    with pytest.raises(InputError, match="at least two"):
        token_choices([(1,)], END, ["a"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```\ncat\n```", 0),
        ('```json\n{"label": "dog"}\n```', 1),
        ("<think>It is not a dog. A bird?</think>\ncat", 0),
        ("<think>dog</think><think>bird</think> **Cat**.", 0),
        ("The ears are pointed.\n\nAnswer: cat", 0),
        ("**Answer:** dog", 1),
        ("It may be a dog.\nFinal answer: bird.", 2),
        ('I looked closely. {"label": "bird"}', 2),
        ('<think>hm</think>\n```json\n{"label": "bird"}\n```', 2),
        ("<think>cat", None),
        ("cat</think>", None),
        ("not\ncat", None),
        ("cat or dog", None),
        ("Answer: not a cat", None),
        ("```cat", 0),
        ('{"label": ["cat"]}', None),
        ("{" * 100_000, None),
    ],
)
def test_reasoning_and_fences_around_an_answer(text, expected):
    assert read_answer(text, ["cat", "dog", "bird"]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It could be a dog.\n</think>\ncat", 0),
        ('<think>a dog?</think><think>no</think>\n```json\n{"label": "cat"}\n```', 0),
        ("<think>It seems that\nAnswer: cat", None),
        ("<think>first</think>\n<think>then\ncat", None),
    ],
)
def test_reasoning_ends_where_its_last_tag_says(text, expected):
    assert read_answer(text, ["cat", "dog"]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"label": "red", "label": "blue"}', None),
        ('{"label": "red", "label": "red"}', None),
        ('{"label": "red"} {"label": "blue"}', None),
        ("\ufeffred", 0),
        ('\ufeff{"label": "red"}', 0),
        ("<think>a<think>b</think>c</think>red", 0),
    ],
)
def test_two_labels_are_no_answer_and_a_byte_order_mark_is_no_letter(text, expected):
    assert read_answer(text, ["red", "green", "blue"]) == expected
