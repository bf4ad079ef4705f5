"""What a person reads: formulas in words, regions by name, and nothing that the model was not asked."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import focus_by, focus_of, rule
from sympy import And, Or, Symbol
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic import equivalent, parse_expression, to_expression
from captum_focalogic.provenance import Prediction
from captum_focalogic.search import Ascending
from captum_focalogic.search.critical import CriticalSets
from captum_focalogic.summary import (
    certificate_text,
    enough_text,
    in_words,
    listed,
    prediction_text,
    region_text,
    regions_text,
    summary,
    table,
    without_text,
)

CAT = {"target": 1, "target_name": "cat"}


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("I8 & (I5 | I6)", "8 together with 5 or 6"),
        ("I8 & I10 & (I5 | I6)", "8 and 10 together with 5 or 6"),
        ("I5 | (I8 & I6)", "5 or 6 and 8"),
        ("I_m3 | I2", "-3 or 2"),
        ("I7 | (I1 & (I2 | I3))", "7 or (1 together with 2 or 3)"),
        ("(I6 | I8) & (I10 | I11 | I12)", "(6 or 8) together with (10, 11 or 12)"),
        ("I1 & (I2 | I3) & (I4 | I5)", "1 together with (2 or 3) together with (4 or 5)"),
        ("I1 | (I2 & I3) | (I4 & I5)", "1, (2 and 3) or (4 and 5)"),
        ("I1 | (I2 & I3 & I4)", "1 or (2, 3 and 4)"),
        ("true", "anything"),
        ("false", "nothing"),
    ],
)
def test_formulas_in_words(formula: str, words: str) -> None:
    assert in_words(parse_expression(formula), {}) == words


def read(words: str) -> Boolean:
    """Words as a reader takes them who knows no precedence beyond "and" before "or", and no commas across the two."""
    if re.fullmatch(r"\d+", words):
        return Symbol(f"I{words}")

    def split(text: str, *separators: str) -> list[str]:
        """At separators outside of brackets."""
        depths = np.cumsum([(letter == "(") - (letter == ")") for letter in text])
        found = re.finditer("|".join(separators), text)
        cuts = [match.span() for match in found if not depths[match.start()]]
        ends = [(0, 0), *cuts, (len(text), len(text))]
        return [text[before[1] : after[0]] for before, after in pairwise(ends)]

    pieces = split(words, " together with ")
    if len(pieces) > 1:
        assert len(split(pieces[0], " or ")) == 1, words
        assert len(pieces) == 2 or all(len(split(piece, " or ")) == 1 for piece in pieces), words
        return And(*map(read, pieces))
    if len(split(words, " or ")) > 1:
        items = split(words, ", ", " or ")
        assert len(items) == 2 or all(len(split(item, " and ")) == 1 for item in items), words
        return Or(*map(read, items))
    items = split(words, ", ", " and ")
    if len(items) > 1:
        return And(*map(read, items))
    assert words[0] == "(", words
    assert words[-1] == ")", words
    return read(words[1:-1])


@given(st.lists(st.integers(1, 2**7 - 1), min_size=1, max_size=7))
@settings(max_examples=200, deadline=None)
def test_words_have_one_reading(terms: list[int]) -> None:
    states = [[term >> place & 1 for place in range(7)] for term in terms]
    formula = to_expression(states)
    assert equivalent(read(in_words(formula, {})), formula)


def test_names_stand_for_regions_with_numbers_where_they_do_not_tell_them() -> None:
    focus = focus_of([[1, 2]], [1, 2, 3], names={1: "ear", 2: "ear", 3: "nose"})
    assert [region_text(region, focus) for region in (1, 2, 3, 4)] == ["ear 1", "ear 2", "nose", "4"]
    assert regions_text(focus, np.array([True, False, True]), "or") == "ear 1 or nose"
    assert in_words(parse_expression("I1 & I3"), {1: "ear", 3: "nose"}) == "ear and nose"
    assert [listed("abc"[:count], "and") for count in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_the_prediction_with_the_runners_up() -> None:
    top = ((1, "cat", 0.7), (2, None, 0.2), (0, "dog", 0.06), (3, "owl", 0.04))
    focus = focus_of([[1]], [1, 2], **CAT, prediction=Prediction(1, "cat", 0.7, top))
    assert prediction_text(focus) == "cat 0.70 (then class 2 0.20, dog 0.06)"
    assert prediction_text(replace(focus, prediction=Prediction(7))) == "class 7"
    assert prediction_text(replace(focus, prediction=None)) == "an output without classes"
    assert "Explained" not in summary(focus)
    other = replace(focus, target=0, target_name="dog")
    assert summary(other)["Explained"] == "dog, which is not the prediction"


def test_what_is_enough() -> None:
    one = focus_of([[2]], [1, 2], **CAT)
    assert enough_text(one) == "2 keeps it alone: 50 % of the image"
    assert enough_text(one, "dog").startswith("2 alone keeps cat ahead of dog, by at least half of its lead")
    two = focus_of([[1, 2], [1, 3]], [1, 2, 3, 4], **CAT)
    assert "in all 2 ways: 1 together with 2 or 3   I1 & (I2 | I3)" in enough_text(two)
    found = replace(two, certificate=replace(two.certificate, complete="no"))
    assert "in 2 ways found: 1 together with 2 or 3" in enough_text(found)
    assert "explains nothing" in enough_text(focus_of([[]], [1, 2]))
    assert enough_text(focus_by(lambda kept: False, **CAT)) == "nothing: the whole image is not called cat either"


def test_what_cannot_go_is_needed_only_where_nothing_does_without() -> None:
    focus = focus_of([[1, 2], [3]], [1, 2, 3], **CAT)
    dropped = np.array([[True, False, False], [False, False, True]])
    critical = CriticalSets(
        states=dropped,
        predicted=np.array([5, 1]),
        probability=np.array([0.1, 0.3], dtype=np.float32),
        needed=np.array([False, True]),
        valid_asked=9,
        asked=4,
        complete_up_to=1,
        names=("dog", "cat"),
    )
    first, last = without_text(replace(focus, critical=critical)).splitlines()
    assert first == "1, all else kept, the model says dog; yet 3 alone keeps it"
    assert last.startswith("3, all else kept, the model says cat still, but only at 0.30; needed: each of the 9 sets ")
    pairs = np.array([[True, False, True], [True, True, False]])
    of_pairs = replace(focus, critical=replace(critical, states=pairs, needed=np.array([True, False])))
    first, last = without_text(of_pairs).splitlines()
    # Neither is needed by itself: one of the two is.
    assert first.endswith("one of them is needed: each of the 9 sets asked that keep the answer has 1 or 3")
    assert last.endswith("; yet 3 alone keeps it")
    others = np.array([[False, False, True], [True, False, True]])
    elsewhere = replace(critical, states=others, needed=np.zeros(2, dtype=bool))
    first, last = without_text(replace(focus, critical=elsewhere)).splitlines()
    assert first.endswith("; yet 1 and 2 alone keep it")
    assert last.endswith("; yet some sets with none of them keep the answer")
    assert without_text(focus).startswith("no region, and no pair that was asked about, changes the answer")
    for count, more in ((4, "and 1 more such set"), (5, "and 2 more such sets")):
        many = {
            "states": np.repeat(dropped[:1], count, axis=0),
            "predicted": np.full(count, 5),
            "names": ("dog",) * count,
        }
        likely = {"probability": np.full(count, 0.1, dtype=np.float32), "needed": np.zeros(count, dtype=bool)}
        said = without_text(replace(focus, critical=replace(critical, **many, **likely))).splitlines()
        # What keeps the answer is counted by nothing.
        assert said[2:] == ["1, all else kept, the model says dog; yet 3 alone keeps it", more]


def test_what_is_proved() -> None:
    found = focus_by(rule, strategy=Ascending())
    assert certificate_text(found).startswith("none is missing of the minimal sets (")
    smallest = focus_by(rule, strategy=Ascending(stop="smallest"))
    assert certificate_text(smallest).startswith("no fewer than 2 regions are enough, and this is the only one of that")
    only = focus_by(lambda kept: kept[7], strategy=Ascending(stop="smallest"))
    assert certificate_text(only).startswith("a single region is enough, and this is the only one of that size (")
    either = focus_by(lambda kept: kept[7] or kept[0], strategy=Ascending(stop="smallest"))
    assert certificate_text(either).startswith("a single region is enough, and these are all of that size (")
    none = focus_by(lambda kept: True, strategy=Ascending(stop="smallest"))
    assert certificate_text(none).startswith("no region is needed (")
    nothing = focus_by(lambda kept: False)
    assert certificate_text(nothing).startswith("there is no set to look for")


def test_several_results_stand_in_one_table() -> None:
    """One row a result, whatever it is; a class that is not the prediction, and no final state, are said."""
    found = focus_by(rule, target=4, target_name="cat", prediction=Prediction(4, "cat", 0.9))
    nothing = focus_by(lambda kept: False, target=2, prediction=Prediction(4, None, None))
    rows = table([found.named({0: "head"}), nothing]).rows
    header = table([]).header
    first, second = (dict(zip(header, row, strict=True)) for row in rows)
    assert (first["image"], first["prediction"], first["probability"]) == ("image 1", "cat", 0.9)
    assert first["enough"] == "head and 7"
    assert first["area"] == pytest.approx(2 / 6)
    assert first["formula"] == found.formula
    assert (first["states"], first["asked"]) == (2, found.certificate.evaluations)
    assert (second["prediction"], second["explained"], second["enough"]) == ("class 4", "class 2", None)
    assert second["states"] == 0
    assert [row[0] for row in table({"resnet": found, "vit": nothing}).rows] == ["resnet", "vit"]
    single = table(found)
    assert len(single.rows) == 1
    for written in (single.latex(), single.markdown(), single.csv(), str(single)):
        assert "cat" in written
    with pytest.raises(InputError, match=r"of results \(Answer or Focus\); got a str"):
        table(["cat"])
