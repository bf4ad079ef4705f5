"""Rules of a class against supports and confidences worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import matrix

from captum_focalogic.errors import InputError
from captum_focalogic.logic import class_rules, equivalent, parse_expression


def focus(names: dict[int, str], *sets: set[int]) -> SimpleNamespace:
    ids = np.array(sorted({*names, *(i for s in sets for i in s)}))
    place = {int(i): column for column, i in enumerate(ids)}
    return SimpleNamespace(
        region_ids=ids, names=names, final_states=matrix([{place[i] for i in s} for s in sets], len(ids))
    )


CARS = [
    focus({1: "wheel", 2: "window", 3: "sky"}, {1, 2}, {3}),
    focus({5: "wheel", 6: "window", 7: "road"}, {5, 6}),
    focus({1: "wheel", 2: "window", 8: "road"}, {1, 8}),
    focus({1: "wheel", 2: "wheel"}, {1, 2, 9}),  # region 9 has no name
]


def test_hand_worked_table():
    rules = class_rules(CARS)
    assert rules.to_rows() == [
        {"rule": "wheel & window", "support": 0.5, "confidence": 2 / 3, "images": 2},
        {"rule": "road & wheel", "support": 0.25, "confidence": 0.5, "images": 1},
    ]  # {sky} explains the first image only, which wheel & window does as well
    assert (rules.num_images, rules.coverage, rules.unnamed_images) == (4, 0.75, 1)
    assert rules.rules[0].images == (0, 1)
    assert equivalent(rules.expression, parse_expression("wheel & (window | road)"))
    assert rules.to_table().markdown().splitlines()[2] == "| wheel & window | 50.0% | 66.7% | 2 |"


def test_thresholds_and_names_from_outside():
    assert [sorted(rule.names) for rule in class_rules(CARS, min_support=0.4).rules] == [["wheel", "window"]]
    assert [sorted(rule.names) for rule in class_rules(CARS, min_confidence=0.9).rules] == [["sky"]]
    named = class_rules(CARS[:1], names=[{1: "a", 2: "a", 3: "b"}])
    assert [sorted(rule.names) for rule in named.rules] == [["a"]]


def test_a_longer_rule_stays_where_it_explains_more():
    """The name a alone is enough in the second image only; a and b together are enough in both."""
    rules = class_rules([focus({1: "a", 2: "b"}, {1, 2}), focus({1: "a", 2: "b"}, {1})])
    assert [(sorted(rule.names), rule.support, rule.confidence) for rule in rules.rules] == [(["a", "b"], 1.0, 1.0)]
    same = class_rules([focus({1: "a", 2: "b"}, {1, 2}, {1})])
    assert [sorted(rule.names) for rule in same.rules] == [["a"]]


def test_an_image_that_needs_nothing_gives_the_empty_rule():
    rules = class_rules([focus({1: "a"}, set())])
    assert rules.to_rows() == [{"rule": "true", "support": 1.0, "confidence": 1.0, "images": 1}]
    assert rules.expression == True  # noqa: E712 - sympy's true


def test_images_without_final_states_explain_nothing():
    rules = class_rules([focus({1: "a"}), focus({1: "a"}, {1})])
    assert (rules.coverage, rules.unnamed_images) == (0.5, 0)
    assert class_rules([focus({1: "a"})]).expression == False  # noqa: E712 - sympy's false


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from("abcd"), min_size=4, max_size=4),
            st.lists(st.lists(st.booleans(), min_size=4, max_size=4), max_size=3),
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=100, deadline=None)
def test_every_rule_holds_where_it_says_and_covers_what_it_can(drawn):
    images = [
        SimpleNamespace(region_ids=np.arange(4), names=dict(enumerate(called)),
                        final_states=np.array(rows, dtype=bool).reshape(-1, 4))
        for called, rows in drawn
    ]  # fmt: skip
    rules = class_rules(images)
    enough = [[{image.names[i] for i in np.flatnonzero(state)} for state in image.final_states] for image in images]
    for rule in rules.rules:
        present = [set(image.names.values()) >= rule.names for image in images]
        holds = [here and any(s <= rule.names for s in sets) for here, sets in zip(present, enough, strict=True)]
        assert rule.images == tuple(np.flatnonzero(holds))
        assert rule.support == sum(holds) / len(images)
        assert rule.confidence == sum(holds) / sum(present)
        others = {i for other in rules.rules if other is not rule for i in other.images}
        assert not set(rule.images) <= others
    explained = {i for rule in rules.rules for i in rule.images}
    assert rules.coverage == len(explained) / len(images)
    everything = {i for i, sets in enumerate(enough) if sets}
    assert explained == everything


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "at least one"),
        ((CARS, [{}]), "one map per focus"),
        ((CARS, None, 2.0), r"\[0, 1\]"),
        ((CARS, None, 0.0, -1.0), r"\[0, 1\]"),
        (([focus({1: "a\n"}, {1})],), "blank|printable"),
    ],
)
def test_unusable_input_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        class_rules(*arguments)
