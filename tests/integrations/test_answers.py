"""Answers in words."""

import pytest
import torch

from captum_focalogic.integrations.answers import Outside, as_scores, ask, read_answer

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
    scores = as_scores([1, None, 0], 3)
    assert torch.equal(scores[[0, 2]], torch.tensor([[0.0, 1, 0], [1, 0, 0]]))
    assert scores[1].isnan().all()
    assert as_scores([], 3).shape == (0, 3)


def test_questions_name_the_labels():
    assert ask("Of {labels}?", ["a", "b"]) == "Of a, b?"


def test_outside_answers_are_counted_over_calls():
    outside = Outside()
    outside.warn([], "m")
    with pytest.warns(
        UserWarning, match=r"m answered outside the labels for 3 image\(s\).*'cow' 2 x, '\(no text\)' 1 x"
    ):
        outside.warn(["cow", None, "cow"], "m")
    with pytest.warns(UserWarning, match="cow"):
        outside.warn(["cow"], "m")
    assert outside == {"cow": 3, "(no text)": 1}
