"""Graphs of nodes: NetworkX reads GraphML, JSON lists the same nodes."""

import json

import networkx as nx
import pytest
from hypothesis import given, settings
from oracles import all_assignments, expressions
from oracles import evaluate as truth_table

from captum_focalogic.errors import InputError
from captum_focalogic.logic import (
    read_expression,
    write_expression,
)

COLUMNS = 5
ASSIGNMENTS = all_assignments(COLUMNS)
some = expressions(COLUMNS, leaves=10)


@given(some)
@settings(max_examples=60, deadline=None)
def test_networkx_reads_graphml_and_json_lists_the_same_nodes(expression):
    graph = nx.parse_graphml(write_expression(expression, "graphml"))
    nodes = json.loads(write_expression(expression, "json"))["nodes"]
    expected = truth_table(expression, ASSIGNMENTS, range(COLUMNS))
    rules = {"and": all, "or": any, "not": lambda v: not v[0], "xor": lambda v: v[0] != v[1],
             "true": lambda v: True, "false": lambda v: False}  # fmt: skip
    for row, value in zip(ASSIGNMENTS, expected, strict=True):
        values: dict[str, bool] = {}
        for node in reversed(list(nx.topological_sort(graph))):
            kind, symbol = graph.nodes[node]["kind"], graph.nodes[node].get("symbol")
            parts = [values[part] for part in graph.successors(node)]
            values[node] = bool(row[int(symbol[1:])]) if kind == "region" else rules[kind](parts)
        assert values[str(graph.graph["root"])] == value
        listed: list[bool] = []
        for node in nodes:
            parts = [listed[part] for part in node.get("parts", [])]
            listed.append(
                bool(row[int(node["symbol"][1:])]) if node["kind"] == "region" else rules[node["kind"]](parts)
            )
        assert listed[-1] == value


def test_small_files_that_mean_huge_formulas_are_refused():
    # Each node uses the one before twice, with a region between them, so that nothing is folded: 2^60 literals.
    nodes = [{"kind": "region", "symbol": f"I{i}"} for i in range(3)]
    for level in range(60):
        last = len(nodes) - 1
        nodes.append({"kind": "or", "parts": [last, level % 2]})
        nodes.append({"kind": "or", "parts": [last, 2]})
        nodes.append({"kind": "and", "parts": [last + 1, last + 2]})
    text = json.dumps({"format": "captum-focalogic/expression/1", "nodes": nodes})
    with pytest.raises(InputError, match=r"times|levels"):
        read_expression(text, "json")
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><graphml/>'
    with pytest.raises(InputError, match="document type"):
        read_expression(bomb, "graphml")
