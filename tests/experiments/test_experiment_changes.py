"""Paired changes between studies, against the comparison of studies, which makes them in another way."""

import math

import numpy as np
import pytest
from experiment_rows import patch_study, table_of

from captum_focalogic.experiments.arms import Result
from captum_focalogic.experiments.findings import change
from captum_focalogic.ground_truth import DEFAULT_MATCH, Match
from captum_focalogic.study import compare_rows


def test_changes_are_those_of_the_comparison(tmp_path):
    first = patch_study(tmp_path / "first", DEFAULT_MATCH)
    second = patch_study(tmp_path / "second", Match("iou", 0.3))
    compared = compare_rows(first, second)
    for column in ("smallest_precision", "irreducible_recall", "irreducible_divergence", "accuracy"):
        found, line = change(Result("a", first), Result("b", second), column), compared[column]
        if line.pairs < 10:
            assert found is None
        else:
            assert (found.value, found.low, found.high, found.count) == (
                line.difference,
                line.low,
                line.high,
                line.pairs,
            )


def test_images_are_paired_by_id_and_undefined_ones_left_out():
    count = 13
    ids = [f"{number}" for number in range(count)]
    values = [float(number) for number in range(count)]
    first = table_of({"id": ids, "smallest_size": [*values[:-2], math.nan, None]})
    second = table_of({"id": ids[::-1], "smallest_size": [value + 0.5 for value in values][::-1]})
    found = change(Result("a", first), Result("b", second), "smallest_size")
    assert (found.value, found.low, found.high, found.count) == (pytest.approx(0.5), 0.5, 0.5, count - 2)


def test_too_few_pairs_say_nothing():
    rows = table_of({"id": [f"{number}" for number in range(9)], "smallest_size": list(np.ones(9))})
    assert change(Result("a", rows), Result("b", rows), "smallest_size") is None
