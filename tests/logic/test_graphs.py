"""Graphs of formulas, there and back; of states: exact where small, honest counts of what is left out where large."""

from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import all_assignments, contains_some, expressions, matrix
from sympy import And, Or, Symbol, Xor, false, symbols, true

from captum_focalogic.errors import InputError
from captum_focalogic.logic import (
    equivalent,
    final_state_lattice,
    from_networkx,
    parse_expression,
    refinement_graph,
    region_tree,
    to_expression,
    to_networkx,
)
from captum_focalogic.logic.graphs import KINDS

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
    from oracles import evaluate

    assert (evaluate(back, assignments, range(4)) == contains_some(assignments, states)).all()


EXAMPLE = [{1, 4}, {1, 2, 3, 5}, {1, 2, 3, 6}]


def searched(final: np.ndarray, ids=None) -> SimpleNamespace:
    """What an exhaustive search of a monotone model with these final states records."""
    columns = final.shape[1]
    everything = all_assignments(columns)
    valid = everything[contains_some(everything, final)]
    border = {tuple(row ^ (np.arange(columns) == j)) for row in valid for j in np.flatnonzero(row)}
    border -= {tuple(row) for row in valid}
    states = np.concatenate([valid, np.array(sorted(border), dtype=bool).reshape(-1, columns)])
    flags = np.arange(len(states)) < len(valid)
    ids = np.arange(columns) if ids is None else np.asarray(ids)
    return SimpleNamespace(region_ids=ids, final_states=final, evaluated=SimpleNamespace(states=states, valid=flags))


def brute_force_hasse(nodes):
    sets = [frozenset(node) for node in nodes]
    return {
        (tuple(sorted(a)), tuple(sorted(b))) for a in sets for b in sets if b < a and not any(b < c < a for c in sets)
    }


def test_a_small_search_is_shown_whole():
    final = matrix([{0, 1}, {2}], 3)
    graph = refinement_graph(searched(final, [-1, 5, 9]), max_nodes=None)
    status = dict(graph.nodes(data="status"))
    assert status == {
        (-1, 5, 9): "valid", (-1, 5): "final", (-1, 9): "valid", (5, 9): "valid", (9,): "final",
        (-1,): "border", (5,): "border", (): "border",
    }  # fmt: skip
    assert set(graph.edges) == brute_force_hasse(graph.nodes)
    assert graph.edges[(-1, 5, 9), (-1, 5)]["dropped"] == (9,)
    assert graph.graph["hidden"] == {"final": 0, "valid": 0, "border": 0}
    assert graph.nodes[(-1, 5, 9)]["label"] == "everything"
    assert graph.nodes[()]["label"] == "nothing"


@given(
    st.integers(2, 7).flatmap(
        lambda m: st.lists(st.lists(st.booleans(), min_size=m, max_size=m), min_size=1, max_size=6)
    ),
    st.integers(2, 40),
)
@settings(max_examples=80, deadline=None)
def test_cut_graphs_count_what_they_hide(rows, max_nodes):
    from captum_focalogic.logic import absorb

    focus = searched(absorb(np.array(rows, dtype=bool)))
    graph = refinement_graph(focus, max_nodes=max_nodes)
    assert nx.is_directed_acyclic_graph(graph)
    totals = {"final": len(focus.final_states)}
    totals["valid"] = int(focus.evaluated.valid.sum()) - totals["final"]
    totals["border"] = int((~focus.evaluated.valid).sum())
    shown = {status: set() for status in totals}
    for node, attributes in graph.nodes(data=True):
        if attributes["kind"] == "state":
            shown[attributes["status"]].add(frozenset(node))
    failing = {frozenset(np.flatnonzero(row).tolist()) for row in focus.evaluated.states[~focus.evaluated.valid]}
    for parent, node, dropped in graph.edges(data="dropped"):
        if graph.nodes[node]["kind"] == "collapsed":
            below = {frozenset(parent) - {region} for region in dropped}
            assert below == failing & {frozenset(parent) - {region} for region in parent}
            assert graph.nodes[node]["count"] == len(below)
            shown["border"] |= below
    assert {kind: len(shown[kind]) + graph.graph["hidden"][kind] for kind in totals} == totals
    assert min(graph.graph["hidden"].values()) >= 0
    ids = {int(i) for i in focus.region_ids}
    assert tuple(sorted(ids)) in graph or () in graph
    for larger, smaller, dropped in graph.edges(data="dropped"):
        if graph.nodes[smaller]["kind"] == "state":
            assert set(larger) - set(smaller) == set(dropped)
            assert set(smaller) < set(larger)
    for node, attributes in graph.nodes(data=True):
        if attributes["status"] == "final" and set(node) != ids:
            assert nx.has_path(graph, tuple(sorted(ids)), node)


def test_a_large_search_keeps_its_final_states_and_fits():
    graph = refinement_graph(searched(matrix(EXAMPLE, 11)), max_nodes=30)
    assert graph.number_of_nodes() <= 30
    finals = {node for node, status in graph.nodes(data="status") if status == "final"}
    assert finals == {(1, 4), (1, 2, 3, 5), (1, 2, 3, 6)}
    failing = graph.nodes[("fails", 1, 4)]
    assert (failing["count"], failing["kind"], failing["label"]) == (2, "collapsed", "2 that fail")
    assert graph.graph["hidden"]["valid"] > 500


def test_many_final_states_are_cut_smallest_first():
    rng = np.random.default_rng(1)
    final = np.unique(rng.random((80, 12)) < 0.4, axis=0)
    focus = SimpleNamespace(
        region_ids=np.arange(12), final_states=final,
        evaluated=SimpleNamespace(states=final, valid=np.ones(len(final), bool)),
    )  # fmt: skip
    graph = refinement_graph(focus, max_nodes=30)
    shown = [node for node, status in graph.nodes(data="status") if status == "final"]
    assert len(shown) + graph.graph["hidden"]["final"] == len(final)
    assert len(graph) <= 30
    assert max(map(len, shown)) <= max(final.sum(axis=1))
    assert sorted(final.sum(axis=1))[0] == min(map(len, shown))


def test_a_search_from_below_has_no_ways_but_still_a_graph():
    """Ascending search judges small sets only: the final states, and what fails below them."""
    final = matrix([{0, 1}, {2}], 4)
    states = matrix([{}, {0}, {1}, {2}, {3}, {0, 1}, {0, 3}, {1, 3}], 4)
    valid = contains_some(states, final)
    focus = SimpleNamespace(
        region_ids=np.arange(4), final_states=final, evaluated=SimpleNamespace(states=states, valid=valid)
    )
    graph = refinement_graph(focus)
    assert set(graph.edges) == brute_force_hasse(graph.nodes)
    assert {node for node, status in graph.nodes(data="status") if status == "final"} == {(0, 1), (2,)}


def test_nothing_asked_gives_an_empty_graph():
    empty = np.zeros((0, 3), bool)
    focus = SimpleNamespace(
        region_ids=np.arange(3), final_states=empty, evaluated=SimpleNamespace(states=empty, valid=np.zeros(0, bool))
    )
    assert refinement_graph(focus).number_of_nodes() == 0
    assert final_state_lattice(empty).number_of_nodes() == 0


def test_lattice_of_the_example():
    graph = final_state_lattice(matrix(EXAMPLE, 7))
    status = dict(graph.nodes(data="status"))
    assert status == {
        (1, 4): "final", (1, 2, 3, 5): "final", (1, 2, 3, 6): "final", (1, 2, 3): "common", (1,): "common",
    }  # fmt: skip
    assert dict(graph.nodes(data="count")) == {(1, 4): 1, (1, 2, 3, 5): 1, (1, 2, 3, 6): 1, (1, 2, 3): 2, (1,): 3}
    assert set(graph.edges) == brute_force_hasse(graph.nodes)


@given(
    st.integers(1, 7).flatmap(
        lambda m: st.lists(st.lists(st.booleans(), min_size=m, max_size=m), min_size=1, max_size=7)
    )
)
@settings(max_examples=80, deadline=None)
def test_the_whole_lattice_is_closed_under_intersection(rows):
    states = np.array(rows, dtype=bool)
    graph = final_state_lattice(states, max_nodes=None)
    final = {frozenset(np.flatnonzero(row).tolist()) for row in states}
    closed = set(final)
    while True:
        more = {a & b for a in closed for b in closed} | closed
        if more == closed:
            break
        closed = more
    assert {frozenset(node) for node in graph.nodes} == closed
    assert set(graph.edges) == brute_force_hasse(graph.nodes)
    for node, count in graph.nodes(data="count"):
        assert count == sum(set(node) <= state for state in final)


def test_irreducible_states_that_contain_one_another_are_ordered():
    graph = final_state_lattice(matrix([{0}, {0, 1, 2}], 3))
    assert list(graph.edges) == [((0, 1, 2), (0,))]
    assert dict(graph.nodes(data="status")) == {(0, 1, 2): "final", (0,): "final"}


def test_large_lattices_are_cut_and_say_so():
    rng = np.random.default_rng(2)
    states = rng.random((40, 16)) < 0.6
    states[:, 3] = True
    graph = final_state_lattice(states, max_nodes=30)
    assert graph.number_of_nodes() <= 30
    assert graph.graph["hidden"]["final"] > 0
    assert any(set(node) <= set(np.flatnonzero(states.all(axis=0)).tolist()) for node in graph.nodes)


@pytest.mark.parametrize("function", [lambda: final_state_lattice([[True]], max_nodes=1),
                                      lambda: refinement_graph(searched(matrix([{0}], 1)), max_nodes=0)])  # fmt: skip
def test_no_room_is_refused(function):
    with pytest.raises(InputError, match="at least 2"):
        function()


def test_the_tree_of_regions_adds_up():
    parents = {13: 6, 14: 6, 20: 13, 21: 13}
    regions = {
        1: {"area": 0.5, "kept": False},
        14: {"area": 0.2, "kept": False},
        20: {"area": 0.1, "kept": True},
        21: {"area": 0.2, "kept": False},
    }
    tree = region_tree(parents, regions)
    assert set(tree.edges) == {(6, 13), (6, 14), (13, 20), (13, 21)}
    assert tree.nodes[6]["area"] == pytest.approx(0.5)
    assert [node for node in tree if tree.nodes[node]["kept"]] == [6, 13, 20]
    assert [node for node in tree if tree.nodes[node]["cut"]] == [6, 13]
    assert [node for node in tree if not tree.nodes[node]["part"]] == [1, 6]
    assert nx.is_forest(tree.to_undirected())
