"""Final states as formulas: built, compared, counted, drawn and exchanged. No torch here."""

from captum_focalogic.logic.equivalence import difference, equivalent, implies
from captum_focalogic.logic.expression import Style, to_expression
from captum_focalogic.logic.symbols import region_id, region_key, symbol
from captum_focalogic.logic.terms import absorb

__all__ = [
    "Style",
    "absorb",
    "difference",
    "equivalent",
    "implies",
    "region_id",
    "region_key",
    "symbol",
    "to_expression",
]
