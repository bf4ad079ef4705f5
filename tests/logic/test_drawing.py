"""Graphs as drawings: what is said about them, hostile names, both engines, and what happens without any."""

import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import graph_labels
from oracles import matrix
from sympy import Symbol

from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.logic import (
    NoEngineError,
    RenderError,
    available_engines,
    render,
    to_expression,
    to_graphviz,
    to_networkx,
)
from captum_focalogic.logic import drawing as drawing_module
from captum_focalogic.logic.drawing import RED

HOSTILE = [
    "<b>x</b>",
    "<<i>y</i>>",
    'a"b',
    "a\\N",
    "back\\",
    "R&amp;D",
    "&lt;",
    "] -> n0 [",
    "{a|b}",
    "ünï ∧",
    "n" * 200,
]
ENGINES = [
    pytest.param(
        engine, marks=pytest.mark.skipif(engine not in available_engines(), reason=f"{engine} is not installed")
    )
    for engine in ("dot", "pygraphviz")
]


def test_names_that_cannot_be_printed_are_written_out() -> None:
    for name in ("a\0b", "\x1b[2J", "\ud800", "a\u202eb"):
        source = to_graphviz(to_networkx(Symbol(name) & Symbol("b")), title=name).source
        assert name not in source
        assert all(map(str.isprintable, re.sub(r"\s", "", source)))


STATES = matrix([{1, 4}, {1, 2, 3, 5}, {1, 2, 3, 6}], 7)


@pytest.mark.parametrize("engine", ENGINES)
def test_hostile_names_are_shown_as_they_are(tmp_path, engine):
    names = dict(enumerate(HOSTILE))
    states = np.eye(len(HOSTILE), dtype=bool)
    drawing = to_graphviz(to_networkx(to_expression(states)), names=names, title='<b>"\\N&amp;')
    shown = graph_labels(render(drawing, tmp_path / "names.svg", engine=engine).read_bytes())
    assert len(shown) == len(HOSTILE) + 1
    for name in HOSTILE:
        expected = (name if len(name) <= 60 else name[:59] + "…").replace(" ", "")
        assert expected in {re.sub(r"\s", "", label) for label in shown}


@pytest.mark.skipif(not available_engines(), reason="no Graphviz engine is installed")
@given(st.text(min_size=1, max_size=15).filter(lambda s: s.isprintable() and s.strip() == s))
@settings(max_examples=25, deadline=None)
def test_any_printable_name_draws_one_node(name):
    source = to_graphviz(to_networkx(to_expression([[True]])), names={0: name}).source
    svg = drawing_module._DRAW[available_engines()[0]](source, "svg")
    (shown,) = graph_labels(svg)
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", name)


def test_shared_regions_are_red_and_others_white():
    source = to_graphviz(to_networkx(to_expression(STATES))).source
    nodes = {re.search(r'label="?(\w+)', line)[1]: line for line in source.splitlines() if "label=" in line}
    assert RED in nodes["I1"]
    assert all(RED not in nodes[f"I{i}"] for i in range(2, 7))
    assert nodes["AND"].count("circle") == 1


def test_without_an_engine_the_source_is_written_and_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing_module, "available_engines", list)
    drawing = to_graphviz(to_networkx(to_expression(STATES)))
    with pytest.raises(NoEngineError, match=r"captum-focalogic\[render\].*formula\.dot") as caught:
        render(drawing, tmp_path / "formula.png")
    assert isinstance(caught.value, MissingExtraError)
    assert isinstance(caught.value, ImportError)
    assert caught.value.source == tmp_path / "formula.dot"
    assert caught.value.source.read_text(encoding="utf-8") == drawing.source
    assert render(drawing, tmp_path / "plain.dot").read_text(encoding="utf-8") == drawing.source


def test_no_engine_is_found_on_a_bare_machine():
    code = (
        "import sys; sys.modules['pygraphviz'] = None\n"
        "from captum_focalogic.logic import available_engines\n"
        "print(available_engines())"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_unknown_endings_and_engines_are_refused(tmp_path):
    drawing = to_graphviz(to_networkx(to_expression(STATES)))
    with pytest.raises(InputError, match=r"\.svg, \.png or \.dot"):
        render(drawing, tmp_path / "formula.gif")
    with pytest.raises(InputError, match="engine is 'neato'"):
        render(drawing, tmp_path / "formula.svg", engine="neato")


def test_a_failing_engine_leaves_the_source(tmp_path, monkeypatch):
    def fails(source: str, kind: str) -> bytes:
        raise OSError("no fonts")

    monkeypatch.setattr(drawing_module, "available_engines", lambda: ["dot"])
    monkeypatch.setitem(drawing_module._DRAW, "dot", fails)
    with pytest.raises(RenderError, match="no fonts"):
        render(to_graphviz(to_networkx(to_expression(STATES))), tmp_path / "formula.svg")
    assert (tmp_path / "formula.dot").exists()


def test_what_cannot_be_drawn_is_said():
    graph = to_networkx(to_expression([[True]]))
    with pytest.raises(InputError, match="printable"):
        to_graphviz(graph, names={0: "a\nb"})
    graph.nodes[0]["kind"] = "spaceship"
    with pytest.raises(InputError, match="spaceship"):
        to_graphviz(graph)
