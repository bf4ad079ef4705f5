"""Final states as formulas: built, compared, counted, drawn and exchanged. No torch here."""

from captum_focalogic.logic.counting import banzhaf_values, count_models, model_share, shapley_values
from captum_focalogic.logic.equivalence import difference, equivalent, implies
from captum_focalogic.logic.expression import Style, to_expression
from captum_focalogic.logic.necessity import TruncatedWarning, necessary_states
from captum_focalogic.logic.simplification import count_literals, simplify
from captum_focalogic.logic.symbols import region_id, region_key, symbol
from captum_focalogic.logic.terms import absorb

__all__ = [
    "Style",
    "TruncatedWarning",
    "absorb",
    "banzhaf_values",
    "count_literals",
    "count_models",
    "difference",
    "equivalent",
    "implies",
    "model_share",
    "necessary_states",
    "region_id",
    "region_key",
    "shapley_values",
    "simplify",
    "symbol",
    "to_expression",
]
