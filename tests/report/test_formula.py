"""The typeset formula: read back from its markup, it is the function it stands for."""

import itertools
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from hypothesis.extra.numpy import arrays
from makers import IDS, focus_by, focus_of, rule

from captum_focalogic.report import formula
from captum_focalogic.report.formula import Typeset, set_markup, symbol_markup, typeset


class Reader(HTMLParser):
    """Nodes as nested lists [kind, part, ...]; regions as their columns; and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.root: list = ["root"]
        self._open: list = [self.root]
        self._tags: list = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list) -> None:
        found = dict(attributes)
        kind = found.get("data-node")
        if kind == "region":
            self._open[-1].append(int(found["data-region"]))
        elif kind:
            node: list = [kind]
            self._open[-1].append(node)
            self._open.append(node)
        self._tags.append(kind if kind and kind != "region" else None)

    def handle_endtag(self, tag: str) -> None:
        if self._tags.pop():
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


def read(markup: str) -> Reader:
    reader = Reader()
    reader.feed(str(markup))
    return reader


def value(node: list | int, state: np.ndarray) -> bool:
    if isinstance(node, int):
        return bool(state[node])
    parts = [value(part, state) for part in node[1:]]
    return {"and": all(parts), "or": any(parts), "root": all(parts), "true": True, "false": False}[node[0]]


def focus_of_states(states: np.ndarray):
    def holds(kept: dict[int, bool]) -> bool:
        row = np.array(list(kept.values()))
        return any((state <= row).all() for state in states)

    return focus_by(holds)


@settings(max_examples=40, deadline=None)
@given(arrays(bool, hs.tuples(hs.integers(0, 6), hs.just(len(IDS)))))
def test_the_markup_is_the_function(states: np.ndarray) -> None:
    focus = focus_of_states(states)
    node = read(typeset(focus).markup).root
    for bits in itertools.product([False, True], repeat=len(IDS)):
        row = np.array(bits)
        assert value(node, row) == any((state <= row).all() for state in focus.final_states)


def test_it_reads_as_written_by_hand() -> None:
    text = read(typeset(focus_by(rule)).markup).text.replace("\xa0", " ")
    assert text == "I0 ∧ (I7 ∨ (I−3 ∧ I2))"


def test_the_plain_text_is_in_natural_order() -> None:
    assert typeset(focus_by(rule)).plain == "I0 & (I7 | (I_m3 & I2))"


def test_long_formulas_stand_on_lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formula, "_ONE_LINE", 3)
    focus = focus_by(rule)
    markup = typeset(focus).markup
    assert markup.count('class="line"') == 2
    node = read(markup).root
    assert value(node, focus.final_states[0])
    assert not value(node, np.zeros(len(IDS), bool))


def test_too_long_formulas_show_their_smallest_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formula, "LONGEST", 3)
    focus = focus_by(rule)
    shown = typeset(focus)
    assert shown.left_out == 1
    assert read(shown.markup).text.replace("\xa0", " ") == "I0 ∧ I7 ∨ …"
    assert shown.plain == "I0 & (I7 | (I_m3 & I2))"


def nested(regions: int) -> Typeset:
    """0 & (1 | (2 & (3 | ...))), a bracket a region, typeset."""
    ids = np.arange(regions)
    spine = ids % 2 == 0
    states = np.array([(ids < size) & spine | (ids == size) for size in range(1, regions, 2)])
    return typeset(focus_of(states, ids))


def test_deeply_nested_formulas_are_shown_as_their_terms() -> None:
    shallow, deep = nested(20), nested(400)
    assert shallow.left_out == 0
    assert "".join(read(shallow.markup).text.split()).startswith("I0∧(I1∨(I2∧(I3∨(I4")
    assert deep.plain.count("(") > formula.DEEPEST
    assert deep.left_out > 0
    assert "".join(read(deep.markup).text.split()).startswith("(I0∧I1)∨(I0∧I2∧I3)∨(I0∧I2∧I4∧I5)")


def test_names_are_text() -> None:
    hostile = "<script>alert(1)</script>\"'&"
    focus = focus_by(rule, names={0: hostile})
    markup = typeset(focus).markup
    assert "<script" not in markup
    assert hostile in read(markup).text
    assert hostile in read(symbol_markup(0, {0: hostile})).text


def test_sets() -> None:
    assert read(set_markup(IDS, [1, 0, 0, 1, 0, 0], {7: "sky"})).text == "I−3, sky7"
    assert read(set_markup(IDS, np.zeros(6), {})).text == "∅"
