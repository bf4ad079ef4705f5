"""Final states as formulas: built, compared, counted, drawn and exchanged. No torch here."""

from captum_focalogic.errors import NoEngineError, RenderError, TruncatedWarning
from captum_focalogic.logic.circuit import symbol_names
from captum_focalogic.logic.counting import banzhaf_values, count_models, model_share, shapley_values
from captum_focalogic.logic.drawing import available_engines, render, to_graphviz
from captum_focalogic.logic.equivalence import difference, equivalent, implies
from captum_focalogic.logic.expression import Style, to_expression
from captum_focalogic.logic.formats import (
    FORMATS,
    load_expression,
    parse_expression,
    read_expression,
    save_expression,
    to_latex,
    to_python,
    to_text,
    write_expression,
)
from captum_focalogic.logic.formats.predicate import evaluate, to_callable
from captum_focalogic.logic.graphs import final_state_lattice, from_networkx, refinement_graph, region_tree, to_networkx
from captum_focalogic.logic.naming import name_regions
from captum_focalogic.logic.necessity import necessary_states
from captum_focalogic.logic.rules import Rule, RuleSet, class_rules
from captum_focalogic.logic.simplification import count_literals, simplify
from captum_focalogic.logic.symbols import check_names, region_id, region_key, symbol
from captum_focalogic.logic.terms import absorb

__all__ = [
    "FORMATS",
    "NoEngineError",
    "RenderError",
    "Rule",
    "RuleSet",
    "Style",
    "TruncatedWarning",
    "absorb",
    "available_engines",
    "banzhaf_values",
    "check_names",
    "class_rules",
    "count_literals",
    "count_models",
    "difference",
    "equivalent",
    "evaluate",
    "final_state_lattice",
    "from_networkx",
    "implies",
    "load_expression",
    "model_share",
    "name_regions",
    "necessary_states",
    "parse_expression",
    "read_expression",
    "refinement_graph",
    "region_id",
    "region_key",
    "region_tree",
    "render",
    "save_expression",
    "shapley_values",
    "simplify",
    "symbol",
    "symbol_names",
    "to_callable",
    "to_expression",
    "to_graphviz",
    "to_latex",
    "to_networkx",
    "to_python",
    "to_text",
    "write_expression",
]
