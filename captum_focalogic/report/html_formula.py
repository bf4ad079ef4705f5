"""The formula as markup: every symbol a button that knows its region, every bracket a node with a truth value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike
from sympy import And, Basic, Or, Symbol

from captum_focalogic.focus import Focus
from captum_focalogic.logic import region_id, to_expression

LONGEST = 600
"""Symbols above which a formula is no longer typeset in full."""

DEEPEST = 60
"""Brackets within brackets above which a formula is shown as its terms: browsers stop nesting at 512 elements."""

_ONE_LINE = 12
_GAP = Markup('<span class="gap"> </span>')
"""The only place where a line may break, so that brackets stay with what they enclose."""

_SIGNS = {"and": ("∧", "and"), "or": ("∨", "or")}


@dataclass(frozen=True)
class Typeset:
    """A formula ready for the page.

    Attributes
    ----------
    markup : Markup
        The formula.
    plain : str
        The same as text, to be copied; what sympy and Python read.
    left_out : int
        Final states that were left out because the formula is too long or nested too deeply; then the markup is about
        the smallest of them only.
    """

    markup: Markup
    plain: str
    left_out: int = 0


def typeset(focus: Focus) -> Typeset:
    """The formula of a focus.

    Parameters
    ----------
    focus : Focus
        Its names stand in the place of the symbols where there are any; they are escaped.
    """
    column = {int(region): j for j, region in enumerate(focus.region_ids)}
    expression = focus.expression
    total, deep = _literals(expression), _depth(expression) > DEEPEST
    if total <= LONGEST and not deep:
        return Typeset(_outermost(expression, column, focus.names), focus.formula)
    kept, shown = 0, 0
    for state in focus.final_states:
        if kept + int(state.sum()) > LONGEST:
            break
        kept, shown = kept + int(state.sum()), shown + 1
    shortened = to_expression(focus.final_states[:shown], focus.region_ids, style="dnf" if deep else "factored")
    markup = _outermost(shortened, column, focus.names)
    if shown == len(focus.final_states):
        return Typeset(markup, focus.formula)
    markup += _GAP + Markup('<span class="sign">∨ …</span>')
    return Typeset(markup, focus.formula, len(focus.final_states) - shown)


def symbol_markup(region: int, names: Mapping[int, str]) -> Markup:
    """A region's symbol, without a button around it."""
    shown = Markup("<sub>{}</sub>").format(f"−{-region}" if region < 0 else str(region))
    name = names.get(region)
    if name:
        return Markup('<span class="name">{}</span>').format(name) + shown
    return Markup("<i>I</i>") + shown


def set_markup(region_ids: ArrayLike, columns: ArrayLike, names: Mapping[int, str]) -> Markup:
    """A set of regions as buttons, in braces."""
    ids = np.asarray(region_ids)
    parts = [_button(int(ids[j]), int(j), names) for j in np.flatnonzero(np.asarray(columns))]
    inside = Markup('<span class="sign">, </span>').join(parts) if parts else Markup('<span class="sign">∅</span>')
    return Markup('<span class="set">{}</span>').format(inside)


def _literals(expression: Basic) -> int:
    return sum(isinstance(part, Symbol) for part, _ in _parts(expression))


def _depth(expression: Basic) -> int:
    return max(depth for _, depth in _parts(expression))


def _parts(expression: Basic) -> Iterator[tuple[Basic, int]]:
    """The expression and all that is in it, with the number of brackets around it, without recursion."""
    waiting = [(expression, 0)]
    while waiting:
        part, depth = waiting.pop()
        yield part, depth
        if isinstance(part, And | Or):
            waiting.extend((inner, depth + 1) for inner in part.args)


def _order(expression: Basic) -> tuple[int, int]:
    """Single regions by id first, then brackets by length."""
    if isinstance(expression, Symbol):
        return 0, region_id(expression)
    return _literals(expression), 0


def _outermost(expression: Basic, column: Mapping[int, int], names: Mapping[int, str]) -> Markup:
    """A formula with its outermost parts on lines of their own where one line would be too long."""
    if _literals(expression) <= _ONE_LINE:
        return _node(expression, column, names)
    operator = "and" if isinstance(expression, And) else "or"
    lines = [_node(part, column, names, True) for part in sorted(expression.args, key=_order)]
    first = Markup('<span class="line">{}</span>').format(lines[0])
    others = [Markup('<span class="line">{}&nbsp;{}</span>').format(_sign(operator), line) for line in lines[1:]]
    return Markup('<span class="node lines" data-node="{}">{}{}</span>').format(
        operator, first, Markup("").join(others)
    )


def _sign(operator: str) -> Markup:
    sign, spoken = _SIGNS[operator]
    return Markup('<span class="sign" role="img" aria-label="{}">{}</span>').format(spoken, sign)


def _node(expression: Basic, column: Mapping[int, int], names: Mapping[int, str], inner: bool = False) -> Markup:
    if isinstance(expression, Symbol):
        region = region_id(expression)
        return _button(region, column[region], names)
    if not isinstance(expression, And | Or):
        return Markup('<span class="constant" data-node="{}">{}</span>').format(
            str(expression).lower(), str(expression).lower()
        )
    operator = "and" if isinstance(expression, And) else "or"
    parts = [_node(part, column, names, True) for part in sorted(expression.args, key=_order)]
    joint = Markup("{}{}&nbsp;").format(_GAP, _sign(operator))
    body = joint.join(parts)
    if inner:
        body = Markup('<span class="bracket">(</span>{}<span class="bracket">)</span>').format(body)
    return Markup('<span class="node" data-node="{}">{}</span>').format(operator, body)


def _button(region: int, column: int, names: Mapping[int, str]) -> Markup:
    spoken = f"region {region}" + (f", {names[region]}" if names.get(region) else "")
    return Markup(
        '<button type="button" class="symbol" data-node="region" data-region="{}" aria-label="{}">{}</button>'
    ).format(column, escape(spoken), symbol_markup(region, names))
