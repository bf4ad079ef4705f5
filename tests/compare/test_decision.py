"""One decision for all methods: its regions, what the model says on them, and how often it was asked."""

import numpy as np
import pytest
import torch
from oracles import all_assignments
from tiny_models import LABELS, Rule, rule_decision

from captum_focalogic.compare.decision import Decision, class_scores, counted
from captum_focalogic.errors import InputError

IMAGE = torch.ones(1, 3, 4, 4)


@pytest.fixture
def decision() -> Decision:
    return rule_decision()


def test_regions_are_columns(decision: Decision) -> None:
    assert decision.region_ids.tolist() == [-1, 5, 7, 9]
    assert decision.areas.tolist() == [0.25] * 4
    assert decision.region_ids[decision.columns].tolist() == LABELS.tolist()
    heat = np.arange(16.0).reshape(4, 4)
    means = decision.region_means(heat)
    assert means.tolist() == [heat[region == LABELS].mean() for region in decision.region_ids]
    assert decision.region_means(decision.spread(means)).tolist() == means.tolist()


def test_what_the_model_says_on_region_sets_is_what_it_says_on_such_images(decision: Decision) -> None:
    states = all_assignments(4)
    probability, valid = decision.ask(states)
    assert valid.tolist() == [bool(kept[1] and (kept[2] or kept[3])) for kept in states]
    shown = torch.stack([IMAGE[0] * torch.from_numpy(kept[decision.columns]) for kept in states])
    expected = Rule()(shown).softmax(1)[:, 1]
    assert probability == pytest.approx(expected.numpy(), abs=1e-6)
    again, verdicts = decision.probabilities(shown)
    assert again.numpy() == pytest.approx(probability, abs=1e-6)
    assert verdicts.tolist() == valid.tolist()


@pytest.mark.parametrize("model", [Rule(), lambda images: images.mean((2, 3))])
def test_rows_are_counted(model) -> None:
    with counted(model, model(IMAGE)) as (asked, counter):
        asked(torch.ones(3, 3, 4, 4))
        asked(torch.ones(2, 3, 4, 4))
    assert counter.rows == 5
    model(IMAGE)
    assert counter.rows == 5


@pytest.mark.parametrize("answer", [torch.zeros(1), torch.zeros(1, 1), torch.zeros(1, 3, dtype=torch.int64), [0.5]])
def test_what_are_no_class_scores_is_refused(answer) -> None:
    with pytest.raises(InputError, match=r"floats of shape \(N, K\) with K > 1"):
        class_scores(lambda images: answer, IMAGE)
