"""Comparing: every method gets the same question, and linear models give every method its known answer."""

import inspect
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy
import torch
from tiny_models import LABELS, Cells, Rule

from captum_focalogic import explain_image
from captum_focalogic.compare import METHODS, Attribution, Method, SkippedError, compare, from_regions
from captum_focalogic.errors import InputError
from captum_focalogic.report.words import summary

IMAGE = torch.ones(3, 4, 4)

ORDER = [1, 2, 0, 3]
"""Columns -1, 5, 7, 9 have the weights 0, 3, 2, -1."""


def test_interactions_are_listed() -> None:
    result = compare(Rule(), IMAGE, ["AND-OR"], feature_mask=LABELS, baselines=0)["AND-OR"]
    assert result.measures.evaluations == 16
    kinds = {kind for kind, _, _ in result.attribution.terms}
    assert kinds <= {"AND", "OR"}
    strengths = [abs(strength) for _, _, strength in result.attribution.terms]
    assert strengths == sorted(strengths, reverse=True)
    assert result.attribution.scores.argmax() == 1, "region 5 is in every way to hold the rule"


def test_all_methods_at_once_and_what_is_skipped() -> None:
    compared = compare(
        Rule(),
        IMAGE,
        feature_mask=LABELS,
        baselines=0,
        rule=sympy.sympify("I5 & (I7 | I9)"),
        truth=np.eye(4, dtype=bool),
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
    compared = compare(Cells(), IMAGE, [name], feature_mask=LABELS, baselines=0, target=1, equal_budget=30)
    assert 15 < compared[name].measures.evaluations <= 30
    assert compared.equal_budget == 30


def test_the_equal_budget_is_what_focalogic_used() -> None:
    compared = compare(
        Rule(), IMAGE, ["RISE", "FocaLogic", "AND-OR"],
        feature_mask=LABELS, baselines=0, equal_budget=True, reading="irreducible",
    )  # fmt: skip
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
    first, second = (
        compare(model, IMAGE, names, feature_mask=LABELS, baselines=0, target=1, equal_budget=20) for _ in range(2)
    )
    assert (torch.rand(1), np.random.rand()) == before  # noqa: NPY002
    for one, other in zip(first.results, second.results, strict=True):
        assert np.array_equal(one.attribution.scores, other.attribution.scores)
    third = compare(model, IMAGE, ["RISE"], feature_mask=LABELS, baselines=0, target=1, equal_budget=20, seed=1)
    assert not np.array_equal(third["RISE"].attribution.scores, first["RISE"].attribution.scores)


def test_stability_is_measured() -> None:
    compared = compare(
        Cells(), IMAGE, ["FocaLogic", "RISE"], feature_mask=LABELS, baselines=0, target=1, equal_budget=16, seeds=4
    )
    assert compared["FocaLogic"].measures.stability == 1
    assert 0 <= compared["RISE"].measures.stability <= 1


def test_a_method_of_ones_own() -> None:
    mine = Method("mine", lambda case: from_regions(case, np.array([0.0, 0.0, 0.0, 1.0])))

    def refuse(case: object) -> Attribution:
        raise SkippedError("not today")

    compared = compare(Rule(), IMAGE, [mine, Method("other", refuse)], feature_mask=LABELS, baselines=0)
    assert compared["mine"].chosen.tolist() == [False, False, False, True]
    assert compared.skipped == {"other": "not today"}


def test_the_same_baseline_for_all() -> None:
    # With a white baseline nothing is taken away, so nothing matters.
    compared = compare(
        Cells(), IMAGE, ["FeatureAblation", "LIME-package", "RISE"], feature_mask=LABELS, target=1, baselines=1.0
    )
    assert np.allclose(compared["FeatureAblation"].attribution.scores, 0)
    assert np.ptp(compared["RISE"].attribution.scores) < 0.2


@pytest.mark.parametrize("labels", [["dark", "bright"], {0: "dark", 1: "bright"}, "dark,bright"])
def test_classes_are_named_as_for_explain_image(labels: Any) -> None:
    how = {"methods": ["FocaLogic"], "feature_mask": LABELS, "baselines": 0}
    for name, number in (("bright", 1), ("Dark", 0)):
        by_name = compare(
            Cells(), IMAGE, target=name, labels=labels, criterion=f"over:{['bright', 'dark'][number]}", **how
        )
        by_number = compare(Cells(), IMAGE, target=number, criterion=f"over:{1 - number}", **how)
        assert by_name.decision.target == by_number.decision.target == number
        assert by_name.focus.final_states.tolist() == by_number.focus.final_states.tolist()


def test_segmenters_are_named_as_for_explain_image() -> None:
    by_name = compare(Cells(), IMAGE, ["FocaLogic"], segmenter="grid:2x2", baselines=0)
    assert sorted(np.unique(by_name.decision.label_map)) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": ["Magic"]}, "unknown method 'Magic'"),
        ({"target": "bright"}, "the names of the classes are not known; pass labels="),
        ({"target": "brigth", "labels": ["dark", "bright"]}, "did you mean bright"),
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
        compare(Cells(), IMAGE, **{"feature_mask": LABELS, "baselines": 0, **arguments})


@pytest.mark.parametrize(
    "model", [lambda x: x.mean(dim=(1, 2, 3)), lambda x: torch.zeros(len(x), 3, dtype=torch.int64)]
)
def test_models_without_class_scores_are_refused(model) -> None:
    with pytest.raises(InputError, match="class scores"):
        compare(model, IMAGE, ["FocaLogic"], feature_mask=LABELS, baselines=0)


def test_images_of_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="one image"):
        compare(Cells(), torch.ones(2, 3, 4, 4), feature_mask=LABELS, baselines=0)


def test_measures_are_plain_numbers() -> None:
    compared = compare(Rule(), IMAGE, ["FocaLogic"], feature_mask=LABELS, baselines=0)
    assert json.loads(json.dumps(compared["FocaLogic"].measures.to_dict()))["sufficient"] is True


NESTED = [{5}, {5, 9}, {5, 7, 9}, {-1, 5, 7}, {-1, 5, 7, 9}]
"""Sets that are enough: single deletions from the whole lead to {5} and to {-1, 5, 7}, a part of which is {5}."""


def nested(images: torch.Tensor) -> torch.Tensor:
    """Class 1 for the sets of NESTED."""
    places = {-1: (2, 0), 5: (0, 0), 7: (0, 2), 9: (2, 2)}
    kept = [{region for region, (y, x) in places.items() if image[:, y, x].mean() > 0.5} for image in images]
    enough = torch.tensor([float(regions in NESTED) for regions in kept])
    return torch.stack([1 - enough, 4 * enough], dim=1)


@pytest.mark.parametrize("reading", ["irreducible", "minimal", "smallest"])
def test_the_table_counts_what_the_focus_and_its_page_count(reading: str) -> None:
    result = compare(nested, IMAGE, ["FocaLogic"], feature_mask=LABELS, baselines=0, reading=reading)["FocaLogic"]
    focus = result.attribution.focus
    assert focus is not None
    assert focus.region_sets() == ([{5}, {-1, 5, 7}] if reading == "irreducible" else [{5}])
    assert result.measures.explanations == len(focus.final_states)
    said = {1: "One selection of regions carries", 2: "2 selections of regions each carry"}
    assert said[result.measures.explanations] in summary(focus)
    assert result.measures.evaluations == focus.certificate.evaluations == len(focus.evaluated)


def test_what_is_not_said_is_as_for_explain_image() -> None:
    shared = ("removal", "criterion", "reading", "max_evaluations", "search", "perturbations_per_eval", "outputs")
    own = inspect.signature(compare).parameters
    theirs = inspect.signature(explain_image).parameters
    assert {name: own[name].default for name in shared} == {name: theirs[name].default for name in shared}
    assert own["baselines"].default == theirs["baseline"].default


def test_the_mean_colour_is_the_usual_fill() -> None:
    image = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(1))
    decision = compare(Cells(), image, ["FeatureAblation"], feature_mask=LABELS).decision
    assert torch.allclose(decision.baseline[0], image.mean(dim=(1, 2), keepdim=True).expand(3, 4, 4))


@pytest.mark.parametrize(
    "name", ["FocaLogic", "LIME", "LIME-package", "FeatureAblation", "RISE", "IntegratedGradients"]
)
def test_no_call_gets_more_images_than_allowed(name: str) -> None:
    pytest.importorskip("lime") if name == "LIME-package" else None
    sizes: list[int] = []

    class Watched(Cells):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            sizes.append(len(images))
            return super().forward(images)

    how = {"feature_mask": LABELS, "baselines": 0, "target": 1, "equal_budget": 40}
    compare(Watched(), IMAGE, [name], perturbations_per_eval=3, **how)
    assert 1 < max(sizes) <= 3


class LeavesOut(Cells):
    """Leaves regions out by itself, as if they were 0."""

    def forward_masked(self, images: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        return self(images * kept[:, None])


def _asked_without_a_module(model: LeavesOut) -> Callable[[torch.Tensor], torch.Tensor]:
    """The same as a function of no module."""

    def function(images: torch.Tensor) -> torch.Tensor:
        return model(images)

    vars(function)["forward_masked"] = lambda images, kept: model(images * kept[:, None])
    return function


@pytest.mark.parametrize("given", [LeavesOut(), _asked_without_a_module(LeavesOut())], ids=["module", "function"])
@pytest.mark.parametrize("name", ["FocaLogic", "FeatureAblation", "KernelShap", "ShapleyValueSampling", "AND-OR"])
def test_regions_are_left_out_by_every_method_over_them_and_in_every_measure(name: str, given: Any) -> None:
    image = IMAGE * torch.tensor([0.5, 1.0, 2.0])[:, None, None]
    shared: dict[str, Any] = {"feature_mask": LABELS, "target": 1, "criterion": "top1"}
    left = compare(given, image, [name], **shared, removal="tokens", baselines=7.0, equal_budget=30)
    filled = compare(Cells(), image, [name], **shared, baselines=0.0, equal_budget=30)
    assert left.decision.removal == "tokens"
    assert np.allclose(left[name].attribution.scores, filled[name].attribution.scores, atol=1e-4)
    ours, theirs = (one[name].measures.to_dict() for one in (left, filled))
    assert 4 <= ours.pop("evaluations") <= 30
    assert theirs.pop("evaluations") > 0
    ours.pop("seconds"), theirs.pop("seconds")
    assert ours == pytest.approx(theirs, nan_ok=True, abs=1e-6)
    with_fill = compare(Cells(), image, [name], **shared, baselines=7.0, equal_budget=30)
    assert not np.allclose(with_fill[name].attribution.scores, left[name].attribution.scores, atol=1e-4)
    assert not left[name].attribution.note.startswith("made with a fill")


def test_what_fills_all_the_same_is_said_and_what_cannot_be_asked_is_skipped() -> None:
    class SaysNothing(LeavesOut):
        def forward_masked(self, images: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
            nothing = ~kept.flatten(1).any(1)
            return super().forward_masked(images, kept).masked_fill(nothing[:, None], torch.nan)

    compared = compare(SaysNothing(), IMAGE, ["RISE", "KernelShap"], feature_mask=LABELS, removal="tokens", target=1)
    assert "made with a fill" in compared["RISE"].attribution.note
    assert "every region left out" in compared.skipped["KernelShap"]
    with pytest.raises(InputError, match=r"removal='tokens'"):
        compare(Cells(), IMAGE, ["FocaLogic"], feature_mask=LABELS, removal="tokens")
    with pytest.raises(InputError, match="removal must be one of"):
        compare(Cells(), IMAGE, ["FocaLogic"], feature_mask=LABELS, removal="away")


def test_regions_are_given_as_everywhere_else() -> None:
    """A name, a label map, NumPy or a list of masks: the same regions, the same attribution."""
    records = [{"segmentation": (region == LABELS).numpy().reshape(4, 4)} for region in LABELS.unique().tolist()]
    label_map = LABELS.numpy().reshape(4, 4)
    by_mask = compare(Rule(), IMAGE.numpy(), ["FocaLogic"], feature_mask=label_map, baselines=0)["FocaLogic"]
    again = compare(Rule(), IMAGE, ["FocaLogic"], segmenter=label_map, baselines=0)["FocaLogic"]
    assert by_mask.attribution.scores.tolist() == again.attribution.scores.tolist()
    painted = compare(Cells([1.0, 3.0, 2.0, 0.5]), IMAGE, ["FeatureAblation"], segmenter=records, baselines=0)
    assert len(painted["FeatureAblation"].attribution.scores) == len(records)
    named = compare(Cells([1.0, 3.0, 2.0, 0.5]), IMAGE, ["FeatureAblation"], segmenter="grid:1x4", baselines=0)
    assert len(named["FeatureAblation"].attribution.scores) == 4


def test_normalised_images_are_told_as_for_the_explainer() -> None:
    """Same regions, same named baseline, same verdicts, and the same image shown as of the image before it."""
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    image = torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(22))
    shift, scale = (torch.tensor(values)[:, None, None] for values in (mean, std))

    def plain(images: torch.Tensor) -> torch.Tensor:
        return 20 * images[:, :, :12].mean(dim=(2, 3))

    def normalised(images: torch.Tensor) -> torch.Tensor:
        return plain(images * scale + shift)

    how: dict[str, Any] = {"segmenter": "slic:6", "baselines": "blur:4"}
    one = compare(plain, image, ["FocaLogic", "LIME"], **how)
    other = compare(normalised, (image - shift) / scale, ["FocaLogic", "LIME"], mean=mean, std=std, **how)
    assert np.array_equal(one.decision.label_map, other.decision.label_map)
    assert torch.allclose(one.decision.baseline, other.decision.baseline * scale + shift, atol=1e-5)
    assert np.array_equal(one["FocaLogic"].chosen, other["FocaLogic"].chosen)
    assert np.allclose(one["LIME"].attribution.scores, other["LIME"].attribution.scores, atol=1e-3)
    assert np.abs(one.image.astype(int) - other.image).max() <= 1
    assert one.focus is not None
    assert other.focus is not None
    assert np.abs(one.focus.image.astype(int) - other.focus.image).max() <= 1
    with pytest.raises(InputError, match="go together"):
        compare(plain, image, ["FocaLogic"], mean=mean)
