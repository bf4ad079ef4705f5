"""Names for regions, also when several regions share one, against their meaning spelled out."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import matrix
from sympy import And, Not, Or, Symbol, symbols, true

from captum_focalogic.errors import InputError
from captum_focalogic.logic import check_names, equivalent, name_regions, parse_expression, to_expression, to_text

SCENE = matrix([{0, 1}, {0, 2}], 3)


def test_the_wheel_and_the_window():
    named = name_regions(to_expression(SCENE, [4, 7, 12]), {4: "wheel", 7: "window", 12: "sky", 99: "absent"})
    wheel, window, sky = symbols("wheel window sky")
    assert named == And(wheel, Or(window, sky))
    assert to_text(named) == "wheel & (sky | window)"


def test_regions_without_a_name_keep_their_symbol():
    assert to_text(name_regions(to_expression(SCENE, [4, -7, 12]), {4: "car wheel"})) == '"car wheel" & (I_m7 | I12)'


def named_meaning(states, called, same_name):
    """For every set of names whether it is enough, by trying all region sets it can mean."""
    labels = sorted(set(called))

    def holds(kept):
        return any(set(np.flatnonzero(state)) <= kept for state in states)

    for size in range(len(labels) + 1):
        for chosen in itertools.combinations(labels, size):
            groups = [[i for i, label in enumerate(called) if label == name] for name in chosen]
            if same_name == "all":
                value = holds({i for group in groups for i in group})
            else:
                value = all(holds(set(pick)) for pick in itertools.product(*groups))
            yield chosen, value


@given(
    st.integers(2, 6).flatmap(
        lambda m: st.tuples(
            st.lists(st.lists(st.booleans(), min_size=m, max_size=m), max_size=6),
            st.lists(st.sampled_from("abc"), min_size=m, max_size=m),
        )
    ),
    st.sampled_from(["all", "any"]),
)
@settings(max_examples=150, deadline=None)
def test_a_shared_name_means_what_it_says(drawn, same_name):
    rows, called = drawn
    states = np.array(rows, dtype=bool).reshape(-1, len(called))
    # Only regions that the formula names can share a name in it.
    expression = to_expression(states)
    used = {int(symbol.name[1:]) for symbol in expression.free_symbols}
    called = [name if i in used else f"unused{i}" for i, name in enumerate(called)]
    named = name_regions(expression, dict(enumerate(called)), same_name=same_name)
    for chosen, value in named_meaning(states, called, same_name):
        substituted = named.subs({Symbol(label): Symbol(label) in map(Symbol, chosen) for label in set(called)})
        assert bool(substituted) == value, (chosen, same_name)


def test_regions_kept_apart_and_joined():
    expression = to_expression(SCENE, [4, 7, 12])
    names = {4: "wheel", 7: "window", 12: "window"}
    apart = name_regions(expression, names, "apart")
    assert apart == And(Symbol("wheel"), Or(Symbol("window 7"), Symbol("window 12")))
    assert to_text(name_regions(expression, names, "all")) == "wheel & window"
    both = parse_expression("I4 & I7 & I12")
    assert to_text(name_regions(both, names, "all")) == "wheel & window"
    assert name_regions(both, names, "any") == False  # noqa: E712 - one window alone is never enough
    assert name_regions(true, names) == true


def test_negations_are_named_but_not_joined():
    expression = Not(And(Symbol("I1"), Not(Symbol("I2"))))
    assert equivalent(name_regions(expression, {1: "a", 2: "b"}), parse_expression("~(a & ~b)"))
    with pytest.raises(InputError, match="without negation"):
        name_regions(expression, {1: "a", 2: "a"})
    assert equivalent(name_regions(expression, {1: "a", 2: "a"}, "apart"), parse_expression('~("a 1" & ~"a 2")'))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({1: ""}, "empty"),
        ({1: " a"}, "blank"),
        ({1: "a\nb"}, "printable"),
        ({1: "\x00"}, "printable"),
        ({1: "a" * 201}, "200"),
        ({1: 7}, "must be text"),
        ({1: "I7"}, "symbol of region 7"),
        ({"1": "a"}, "got the id '1'"),
        ({True: "a"}, "got the id True"),
    ],
)
def test_names_are_validated(names, message):
    with pytest.raises(InputError, match=message):
        check_names(names)


def test_good_names_come_back_sorted():
    assert list(check_names({np.int64(7): "I7", -2: "ü ∧ <b>"}).items()) == [(-2, "ü ∧ <b>"), (7, "I7")]
    with pytest.raises(InputError, match="same_name is 'both'"):
        name_regions(true, {}, same_name="both")
    with pytest.raises(InputError, match="already ends in an id"):
        name_regions(parse_expression("I1 & I2 & I3"), {1: "a", 2: "a", 3: "a 1"}, "apart")
