"""What a study found, in words: what its means say and no more."""

import math

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from studies import summary_row, summary_rows

from captum_focalogic.study import summarise
from captum_focalogic.study.conclusions import conclusions
from captum_focalogic.study.rows import as_table


def test_the_first_sentence_says_what_the_model_looks_at() -> None:
    first, *others = conclusions(summarise(summary_rows()))
    assert "holistic" in first
    assert "64%" in first, "(0.1 + 0.9 + 0.4 + 0.8 + 1) / 5"
    assert "50%" in first, "the recall"
    assert "0.020" in first
    assert "5 images" in first, "of seven, one is undefined and one has no object"
    assert "It names the class of 3 of 7 images (42.9%)." in others


def test_without_objects_nothing_is_said_about_looking() -> None:
    rows = as_table([summary_row(index, None, None, num_regions=12) for index in range(4)])
    first, *_ = conclusions(summarise(rows))
    assert "Of 12.0 regions 1.5 are enough for a decision, and 2.0 such sets" in first
    assert "nothing is said about whether the model looks at them" in first


def test_nothing_explained_is_said() -> None:
    rows = as_table([{"index": 0, "id": "a", "label": 1, "error": "OSError: torn"}])
    assert conclusions(summarise(rows))[0] == "No image was explained."


@pytest.mark.parametrize(("wrong", "overlap"), [(0.2, False), (0.6, True)])
def test_right_and_wrong_are_set_side_by_side(wrong: float, overlap: bool) -> None:
    spread = [0.02 * place for place in range(10)]
    rows = as_table(
        [summary_row(index, (0.6 if index % 2 == 0 else wrong) + spread[index % 10]) for index in range(20)]
    )
    (said,) = [line for line in conclusions(summarise(rows)) if line.startswith("Where it names the class")]
    assert said.endswith("; the intervals overlap.") == overlap


def test_classes_are_named_only_where_they_stand_apart() -> None:
    apart = as_table([summary_row(index, 0.2 + 0.6 * (index % 2) + 0.001 * index) for index in range(20)])
    names = ["ant", "bee"]
    (said,) = [line for line in conclusions(summarise(apart, class_names=names)) if line.startswith("Of 2 classes")]
    assert said.index("ant") < said.index("bee")
    alike = as_table([summary_row(index, 0.5 + 0.01 * (index // 2)) for index in range(20)])
    assert not [line for line in conclusions(summarise(alike, class_names=names)) if line.startswith("Of 2 classes")]


def test_unfinished_searches_are_told() -> None:
    rows = as_table([summary_row(index, 0.5, certificate_complete="no" if index else "yes") for index in range(4)])
    assert conclusions(summarise(rows))[-1].startswith("1 of 4 searches found all there is to find")
    assert math.isclose(summarise(rows)["irreducible_precision"].value, 0.5)
