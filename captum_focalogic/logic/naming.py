"""Formulas about things that have names: ``wheel & (window | sky)`` instead of ``I4 & (I7 | I12)``."""

from collections.abc import Mapping
from typing import Literal, get_args

from sympy import Symbol
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.circuit import Circuit, as_boolean, expand, fold, is_monotone, symbol_names
from captum_focalogic.logic.expression import from_terms
from captum_focalogic.logic.factoring import dual_terms
from captum_focalogic.logic.symbols import check_names, region_key
from captum_focalogic.logic.terms import Terms, absorb_terms

SameName = Literal["all", "any", "apart"]
_TERM_LIMIT = 5_000


def name_regions(expression: Boolean, names: Mapping[int, str], same_name: SameName = "all") -> Boolean:
    """A formula with names for regions.

    Parameters
    ----------
    expression : sympy.logic.boolalg.Boolean
        A formula without negations over region symbols.
    names : mapping of int to str
        What each region is called; regions without a name keep their symbol.
    same_name : {"all", "any", "apart"}
        What a name means that several regions share. ``"all"``: all of them are kept (AND); the formula in names
        holds exactly when keeping all regions so called, and nothing else, is enough. ``"any"``: at least one of them
        is kept, whichever (OR); the formula in names holds exactly when one region of each name is enough, no matter
        which. ``"apart"``: they stay different things, ``window 3`` and ``window 8``.

    Returns
    -------
    sympy.logic.boolalg.Boolean
        Factored; names are symbols.

    Raises
    ------
    InputError
        If the names cannot be used, the formula holds negations while regions share a name, or it has too many terms.
    """
    given = as_boolean(expression)
    checked = check_names(names)
    if same_name not in get_args(SameName):
        raise InputError(f"same_name is {same_name!r}; expected one of {', '.join(map(repr, get_args(SameName)))}")
    symbols = symbol_names(given)
    called = _called(symbols, checked, same_name)
    labels = list(dict.fromkeys(called[name] for name in symbols))
    circuit = Circuit(symbols)
    wire = circuit.add(given)
    if len(labels) == len(symbols):
        return fold(given, lambda item, parts: _renamed(item, parts, called))
    terms = expand(circuit, wire, _TERM_LIMIT) if is_monotone(circuit, wire) else None
    if terms is None:
        raise InputError(
            "regions with one name can be joined only in a formula without negations and of few terms; "
            "pass same_name='apart'"
        )
    groups = [[place for place, name in enumerate(symbols) if called[name] == label] for label in labels]
    joined = _join_all(terms, groups) if same_name == "all" else _join_any(terms, groups)
    return from_terms(joined, [Symbol(label) for label in labels])


def _renamed(item: Boolean, parts: list[Boolean], called: Mapping[str, str]) -> Boolean:
    if isinstance(item, Symbol):
        return Symbol(called[item.name])
    return item.func(*parts) if parts else item


def _called(symbols: list[str], names: Mapping[int, str], same_name: SameName) -> dict[str, str]:
    """What every symbol is called."""
    called: dict[str, str] = {}
    counts: dict[str, int] = {}
    for name in symbols:
        key = region_key(name)
        called[name] = names.get(key, name) if isinstance(key, int) else name
        counts[called[name]] = counts.get(called[name], 0) + 1
    if same_name == "apart":
        for name, label in called.items():
            if counts[label] > 1:
                called[name] = f"{label} {region_key(name)}"
        if len(set(called.values())) < len(called):
            raise InputError("the names cannot be kept apart by adding ids: one of them already ends in an id")
    return called


def _join_all(terms: Terms, groups: list[list[int]]) -> Terms:
    """A name is kept with all its regions: each term needs the names of its regions."""
    masks = [sum(1 << place for place in group) for group in groups]
    return absorb_terms(tuple(sum(1 << label for label, mask in enumerate(masks) if term & mask) for term in terms))


def _join_any(terms: Terms, groups: list[list[int]]) -> Terms:
    """A name is kept with at least one of its regions, whichever.

    The function fails on a set exactly when the set misses some hitting set of its terms. A choice of one region per
    name can miss a hitting set unless that holds all regions of some chosen name: so for every hitting set, one of
    the names wholly within it must be chosen.
    """
    if not terms or 0 in terms:
        return terms
    hitting = dual_terms(absorb_terms(terms), _TERM_LIMIT)
    masks = [sum(1 << place for place in group) for group in groups]
    if hitting is None:
        raise InputError("the formula is too large to be read with same_name='any'; pass 'all' or 'apart'")
    needed = [sum(1 << label for label, mask in enumerate(masks) if mask & each == mask) for each in hitting]
    if 0 in needed:
        return ()
    chosen = dual_terms(absorb_terms(tuple(needed)), _TERM_LIMIT)
    if chosen is None:
        raise InputError("the formula is too large to be read with same_name='any'; pass 'all' or 'apart'")
    return chosen
