"""Comparing: every method gets the same question, and linear models give every method its known answer."""

import json

import numpy as np
import pytest
import sympy
import torch
from tiny_models import LABELS, Cells, Rule

from captum_focalogic.compare import METHODS, Attribution, Method, SkippedError, compare, from_regions
from captum_focalogic.errors import InputError

IMAGE = torch.ones(3, 4, 4)

ORDER = [1, 2, 0, 3]
"""Columns -1, 5, 7, 9 have the weights 0, 3, 2, -1."""


def test_interactions_are_listed() -> None:
    result = compare(Rule(), IMAGE, ["AND-OR"], feature_mask=LABELS)["AND-OR"]
    assert result.measures.evaluations == 16
    kinds = {kind for kind, _, _ in result.attribution.terms}
    assert kinds <= {"AND", "OR"}
    strengths = [abs(strength) for _, _, strength in result.attribution.terms]
    assert strengths == sorted(strengths, reverse=True)
    assert result.attribution.scores.argmax() == 1, "region 5 is in every way to hold the rule"


def test_all_methods_at_once_and_what_is_skipped() -> None:
    compared = compare(
        Rule(), IMAGE, feature_mask=LABELS, rule=sympy.sympify("I5 & (I7 | I9)"), truth=np.eye(4, dtype=bool)
    )
    assert {result.name for result in compared.results} | set(compared.skipped) == set(METHODS)
    assert "no gradient" in compared.skipped["GradCAM"]
    assert "NumPy" in compared.skipped["ReX"]
    assert compared["FocaLogic"].measures.rule_exact == 1
    assert compared.focus is compared["FocaLogic"].attribution.focus
    with pytest.raises(KeyError, match="no gradient"):
        compared["GradCAM"]


@pytest.mark.parametrize(
    "name", ["LIME", "LIME-package", "KernelShap", "ShapleyValueSampling", "IntegratedGradients", "RISE"]
)
def test_nobody_exceeds_an_equal_budget(name: str) -> None:
    pytest.importorskip("lime") if name == "LIME-package" else None
    compared = compare(Cells(), IMAGE, [name], feature_mask=LABELS, target=1, equal_budget=30)
    assert 15 < compared[name].measures.evaluations <= 30
    assert compared.equal_budget == 30


def test_the_equal_budget_is_what_focalogic_used() -> None:
    compared = compare(Rule(), IMAGE, ["RISE", "FocaLogic", "AND-OR"], feature_mask=LABELS, equal_budget=True)
    assert [result.name for result in compared.results] == ["RISE", "FocaLogic"]
    assert compared["RISE"].measures.evaluations == compared["FocaLogic"].measures.evaluations
    assert "budget" in compared.skipped["AND-OR"]


def test_the_same_seed_gives_the_same_answer_and_leaves_the_generators_alone() -> None:
    model = Cells()
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    names = ["LIME", "KernelShap", "ShapleyValueSampling", "RISE"]
    first, second = (compare(model, IMAGE, names, feature_mask=LABELS, target=1, equal_budget=20) for _ in range(2))
    assert (torch.rand(1), np.random.rand()) == before  # noqa: NPY002
    for one, other in zip(first.results, second.results, strict=True):
        assert np.array_equal(one.attribution.scores, other.attribution.scores)
    third = compare(model, IMAGE, ["RISE"], feature_mask=LABELS, target=1, equal_budget=20, seed=1)
    assert not np.array_equal(third["RISE"].attribution.scores, first["RISE"].attribution.scores)


def test_stability_is_measured() -> None:
    compared = compare(Cells(), IMAGE, ["FocaLogic", "RISE"], feature_mask=LABELS, target=1, equal_budget=16, seeds=4)
    assert compared["FocaLogic"].measures.stability == 1
    assert 0 <= compared["RISE"].measures.stability <= 1


def test_a_method_of_ones_own() -> None:
    mine = Method("mine", lambda case: from_regions(case, np.array([0.0, 0.0, 0.0, 1.0])))

    def refuse(case: object) -> Attribution:
        raise SkippedError("not today")

    compared = compare(Rule(), IMAGE, [mine, Method("other", refuse)], feature_mask=LABELS)
    assert compared["mine"].chosen.tolist() == [False, False, False, True]
    assert compared.skipped == {"other": "not today"}


def test_the_same_baseline_for_all() -> None:
    # With a white baseline nothing is taken away, so nothing matters.
    compared = compare(
        Cells(), IMAGE, ["FeatureAblation", "LIME-package", "RISE"], feature_mask=LABELS, target=1, baselines=1.0
    )
    assert np.allclose(compared["FeatureAblation"].attribution.scores, 0)
    assert np.ptp(compared["RISE"].attribution.scores) < 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": ["Magic"]}, "unknown method 'Magic'"),
        ({"seeds": 0}, "seeds"),
        ({"equal_budget": 0}, "equal_budget"),
        ({"methods": ["RISE"], "equal_budget": True}, "name a number"),
        ({"target": 9}, "no class of a model with 2"),
        ({"truth": np.zeros((2, 2), bool)}, "truth must be"),
        ({"layer": "nowhere"}, "no layer 'nowhere'"),
        ({"feature_mask": torch.arange(48).reshape(1, 3, 4, 4)}, "differs between channels"),
    ],
)
def test_errors_say_what_is_wrong(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(Cells(), IMAGE, **{"feature_mask": LABELS, **arguments})


@pytest.mark.parametrize(
    "model", [lambda x: x.mean(dim=(1, 2, 3)), lambda x: torch.zeros(len(x), 3, dtype=torch.int64)]
)
def test_models_without_class_scores_are_refused(model) -> None:
    with pytest.raises(InputError, match="class scores"):
        compare(model, IMAGE, ["FocaLogic"], feature_mask=LABELS)


def test_images_of_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="one image"):
        compare(Cells(), torch.ones(2, 3, 4, 4), feature_mask=LABELS)


def test_measures_are_plain_numbers() -> None:
    compared = compare(Rule(), IMAGE, ["FocaLogic"], feature_mask=LABELS)
    assert json.loads(json.dumps(compared["FocaLogic"].measures.to_dict()))["sufficient"] is True
