from itertools import product

import numpy as np
import pytest
import sympy

from captum_focalogic.demo.rules import (
    CLASS_NAMES,
    RULE_KINDS,
    RULES,
    ObjectKind,
    expression_of,
    labels_from_presence,
    labels_met,
)
from captum_focalogic.errors import InputError

DISC, SQUARE, TRIANGLE = ObjectKind("red", "disc"), ObjectKind("blue", "square"), ObjectKind("green", "triangle")
RING, CROSS = ObjectKind("yellow", "ring"), ObjectKind("purple", "cross")


def test_class_names_say_the_rules() -> None:
    assert CLASS_NAMES == (
        "other",
        "red disc and (blue square or green triangle)",
        "yellow ring and purple cross",
    )


def test_labels_agree_with_the_rules_written_out() -> None:
    for flags in product([False, True], repeat=5):
        shown = dict(zip(RULE_KINDS, flags, strict=True))
        first = shown[DISC] and (shown[SQUARE] or shown[TRIANGLE])
        second = shown[RING] and shown[CROSS]
        met = labels_met(kind for kind, flag in shown.items() if flag)
        assert met == tuple(label for label, holds in ((1, first), (2, second)) if holds)
        assert labels_from_presence(np.array([flags])).tolist() == [1 if first else 2 if second else 0]


def test_expression_over_duplicate_objects() -> None:
    regions = [(1, DISC), (2, ObjectKind("red", "square")), (3, DISC), (4, TRIANGLE), (7, SQUARE)]
    i1, i3, i4, i7 = sympy.symbols("I1 I3 I4 I7")
    assert expression_of(1, regions) == (i1 | i3) & (i4 | i7)
    assert expression_of(2, regions) == sympy.false
    assert sympy.simplify_logic(expression_of(0, regions)) == sympy.simplify_logic(~((i1 | i3) & (i4 | i7)))


def test_other_needs_nothing_where_no_rule_can_hold() -> None:
    assert expression_of(0, [(1, DISC), (2, RING)]) == sympy.true


def test_rule_kinds_are_those_of_the_rules() -> None:
    assert {kind for rule in RULES.values() for kind in rule.kinds} == set(RULE_KINDS)
    assert len(set(RULE_KINDS)) == len(RULE_KINDS)


@pytest.mark.parametrize(("colour", "shape"), [("mauve", "disc"), ("red", "blob")])
def test_unknown_kinds_are_refused(colour: str, shape: str) -> None:
    with pytest.raises(InputError, match="unknown"):
        ObjectKind(colour, shape)


def test_unknown_class_is_refused() -> None:
    with pytest.raises(InputError, match="no class 3"):
        expression_of(3, [])
