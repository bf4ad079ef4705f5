"""Formulas as graphs: shared parts once, attributes right, back again, refusals."""

import networkx as nx
import pytest
from hypothesis import given, settings
from logic_oracles import all_assignments, contains_some, expressions, matrix
from sympy import And, Or, Symbol, Xor, false, symbols, true

from captum_focalogic.errors import InputError
from captum_focalogic.logic import equivalent, from_networkx, parse_expression, to_expression, to_networkx
from captum_focalogic.logic.graph import KINDS

i1, i2, i3, i4, i5, i6 = symbols("I1:7")


@given(expressions())
@settings(max_examples=150, deadline=None)
def test_there_and_back(expression):
    graph = to_networkx(expression)
    assert nx.is_directed_acyclic_graph(graph)
    assert all(attributes["kind"] in KINDS and attributes["label"] for _, attributes in graph.nodes(data=True))
    regions = [attributes["symbol"] for _, attributes in graph.nodes(data=True) if attributes["kind"] == "region"]
    assert len(set(regions)) == len(regions)
    assert set(nx.descendants(graph, graph.graph["root"])) | {graph.graph["root"]} == set(graph.nodes)
    assert equivalent(from_networkx(graph), expression)


def test_the_example_of_the_paper():
    expression = And(i1, Or(i4, And(i2, i3, Or(i5, i6))))
    graph = to_networkx(expression)
    kinds = [kind for _, kind in graph.nodes(data="kind")]
    assert (kinds.count("and"), kinds.count("or"), kinds.count("region")) == (2, 2, 6)
    assert graph.number_of_edges() == 9
    assert [graph.nodes[part]["label"] for part in graph.successors(graph.graph["root"])].count("I1") == 1
    shared = {attributes["region"] for _, attributes in graph.nodes(data=True) if attributes.get("shared")}
    assert shared == {1}
    assert from_networkx(graph) == expression


def test_equal_parts_are_one_node():
    part = And(i1, i2)
    graph = to_networkx(Or(And(part, i3, evaluate=False), Xor(Or(i1, i2), i4), And(Or(i1, i2), i5)))
    ors = [node for node, attributes in graph.nodes(data=True) if attributes["kind"] == "or"]
    assert len(ors) == 2
    assert sorted(graph.in_degree(node) for node in ors) == [0, 2]


@given(expressions(columns=5))
@settings(max_examples=30, deadline=None)
def test_shared_is_only_claimed_of_what_every_model_keeps(expression):
    graph = to_networkx(expression)
    for _, attributes in graph.nodes(data=True):
        if attributes.get("shared"):
            assert equivalent(And(expression, Symbol(attributes["symbol"])), expression)


def test_shared_regions_are_those_of_every_final_state():
    states = matrix([{0, 1, 4}, {0, 2, 4}, {0, 3, 4, 1}], 6)
    graph = to_networkx(to_expression(states, [-7, 3, 8, 9, 12, 40]))
    shared = {attributes["region"] for _, attributes in graph.nodes(data=True) if attributes.get("shared")}
    assert shared == {-7, 12}


def test_named_regions_have_no_id_and_constants_are_one_node():
    graph = to_networkx(Symbol("car wheel"))
    assert graph.nodes[0] == {"kind": "region", "label": "car wheel", "symbol": "car wheel", "shared": True}
    for constant, kind in ((true, "true"), (false, "false")):
        assert [attributes["kind"] for _, attributes in to_networkx(constant).nodes(data=True)] == [kind]


def made(edges, **attributes):
    graph = nx.DiGraph(edges)
    for node, kind in attributes.items():
        graph.nodes[node].update({"kind": kind, "symbol": node})
    return graph


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (nx.Graph(), "expected a networkx.DiGraph"),
        (nx.MultiDiGraph(), "without parallel edges"),
        (nx.DiGraph(), "0 nodes that no other uses"),
        (made([("a", "b"), ("b", "a")], a="and", b="and"), "cycle"),
        (made([("a", "b"), ("c", "b")], a="not", b="region", c="not"), "2 nodes that no other uses"),
        (made([("a", "b")], a="maybe", b="region"), "kind 'maybe'"),
        (made([("a", "b")], a="region", b="region"), "cannot have parts"),
        (made([("a", "b"), ("a", "c")], a="not", b="region", c="region"), "not takes 1 parts; got 2"),
        (nx.DiGraph(root=3), "none of its nodes"),
    ],
)
def test_graphs_that_are_no_formula_are_refused(graph, message):
    with pytest.raises(InputError, match=message):
        from_networkx(graph)


def test_a_graph_of_one_s_own_needs_no_root():
    graph = made([("top", "x"), ("top", "y")], top="or", x="region", y="region")
    assert from_networkx(graph) == parse_expression("x | y")


def test_region_sets_of_the_graph_are_those_of_the_states():
    states = matrix([{0, 1}, {1, 2}, {2, 3}], 4)
    back = from_networkx(to_networkx(to_expression(states)))
    assignments = all_assignments(4)
    from logic_oracles import evaluate

    assert (evaluate(back, assignments, range(4)) == contains_some(assignments, states)).all()
