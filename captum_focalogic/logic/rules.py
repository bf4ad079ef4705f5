"""Rules of a class: what its images' explanations have in common, in the names of their regions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sympy import Symbol
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.expression import from_terms
from captum_focalogic.logic.symbols import check_names
from captum_focalogic.logic.terms import absorb_terms
from captum_focalogic.tables import Column, Table


class NamedStates(Protocol):
    """What is needed of a :class:`~captum_focalogic.focus.Focus`."""

    @property
    def region_ids(self) -> NDArray[np.int64]:
        """Region ids, (M,)."""

    @property
    def final_states(self) -> NDArray[np.bool_]:
        """Final states, (S, M)."""

    @property
    def names(self) -> Mapping[int, str]:
        """What regions are called."""


@dataclass(frozen=True)
class Rule:
    """Names that together were enough.

    Attributes
    ----------
    names : frozenset of str
        Keeping all regions so called, and nothing else, keeps the class.
    support : float
        Share of all images in which that is so, in [0, 1].
    confidence : float
        Among the images in which all these names occur, the share in which that is so, in [0, 1].
    images : tuple of int
        The images in which that is so, by their place in the input.
    """

    names: frozenset[str]
    support: float
    confidence: float
    images: tuple[int, ...]


@dataclass(frozen=True)
class RuleSet:
    """The rules of a class, the best supported first.

    Attributes
    ----------
    rules : tuple of Rule
        Each explains some image that no other one explains.
    num_images : int
        How many images they were taken from.
    coverage : float
        Share of the images that some rule explains.
    unnamed_images : int
        Images of which every final state holds a region without a name; no rule can explain them.
    """

    rules: tuple[Rule, ...]
    num_images: int
    coverage: float
    unnamed_images: int

    @cached_property
    def expression(self) -> Boolean:
        """The rules as one factored formula over their names: true when the names of some rule are kept."""
        labels = sorted({name for rule in self.rules for name in rule.names})
        place = {label: 1 << column for column, label in enumerate(labels)}
        terms = tuple(sum(place[name] for name in rule.names) for rule in self.rules)
        return from_terms(absorb_terms(terms), [Symbol(label) for label in labels])

    def to_rows(self) -> list[dict[str, Any]]:
        """One row per rule with ``rule``, ``support``, ``confidence`` and ``images`` (their number)."""
        return [
            {
                "rule": " & ".join(sorted(rule.names)) or "true",
                "support": rule.support,
                "confidence": rule.confidence,
                "images": len(rule.images),
            }
            for rule in self.rules
        ]

    def to_table(self) -> Table:
        """The same, to be written as text, Markdown, LaTeX or CSV."""
        shares = [Column(title, form=".1%") for title in ("support", "confidence")]
        return Table(["rule", *shares, "images"], [tuple(row.values()) for row in self.to_rows()])


def class_rules(
    focuses: Iterable[NamedStates],
    names: Sequence[Mapping[int, str]] | None = None,
    min_support: float = 0.0,
    min_confidence: float = 0.0,
) -> RuleSet:
    """Rules from many explanations of one class.

    Each final state whose regions all have names says: these names were enough in this image. A rule is such a set of
    names; it holds in an image where some final state is made of its names alone. Sets below the thresholds are
    dropped, then, from the least supported on, those whose images the remaining rules explain as well; of two that
    explain the same images, the one with more names goes first.

    Parameters
    ----------
    focuses : iterable of Focus
        Explanations of images of one class, with ``names``.
    names : sequence of mappings, optional
        The names of each image's regions, in place of the focuses' own.
    min_support, min_confidence : float
        Least support and confidence of a rule, in [0, 1].

    Returns
    -------
    RuleSet
        Sorted by support, then confidence, then names.

    Raises
    ------
    InputError
        If there are no focuses, the names do not fit them, or a threshold is not in [0, 1].
    """
    for threshold in (min_support, min_confidence):
        if not 0 <= threshold <= 1:
            raise InputError(f"support and confidence are shares in [0, 1]; got a threshold of {threshold}")
    given = list(focuses)
    if not given:
        raise InputError("rules need at least one focus; got none")
    if names is not None and len(names) != len(given):
        raise InputError(f"there are {len(given)} focuses and {len(names)} maps of names; expected one map per focus")
    images = [_Image(focus, focus.names if names is None else names[i]) for i, focus in enumerate(given)]
    candidates = {term for image in images for term in image.terms}
    rules = [rule for rule in (_rule(term, images) for term in candidates) if rule.support >= min_support]
    kept = _minimise([rule for rule in rules if rule.confidence >= min_confidence])
    explained = {place for rule in kept for place in rule.images}
    return RuleSet(
        rules=tuple(kept),
        num_images=len(images),
        coverage=len(explained) / len(images),
        unnamed_images=sum(image.unnamed for image in images),
    )


class _Image:
    """The sets of names that are enough in one image, and the names that occur in it."""

    def __init__(self, focus: NamedStates, names: Mapping[int, str]) -> None:
        checked = check_names(names)
        ids = [int(number) for number in focus.region_ids]
        self.present = frozenset(checked[number] for number in ids if number in checked)
        sets = [{checked.get(ids[column]) for column in np.flatnonzero(state)} for state in focus.final_states]
        self.terms = {frozenset(name for name in term if name is not None) for term in sets if None not in term}
        self.unnamed = bool(sets) and not self.terms

    def explained_by(self, term: frozenset[str]) -> bool:
        """Whether the names alone are enough."""
        return any(own <= term for own in self.terms)


def _rule(term: frozenset[str], images: list[_Image]) -> Rule:
    explained = tuple(place for place, image in enumerate(images) if image.explained_by(term) and term <= image.present)
    present = sum(term <= image.present for image in images)
    return Rule(term, len(explained) / len(images), len(explained) / present, explained)


def _minimise(rules: list[Rule]) -> list[Rule]:
    """Without rules whose images the others explain."""
    ranked = sorted(rules, key=lambda rule: (-rule.support, -rule.confidence, len(rule.names), sorted(rule.names)))
    uses: dict[int, int] = {}
    for rule in ranked:
        for place in rule.images:
            uses[place] = uses.get(place, 0) + 1
    kept = []
    for rule in reversed(ranked):
        if all(uses[place] > 1 for place in rule.images):
            for place in rule.images:
                uses[place] -= 1
        else:
            kept.append(rule)
    return kept[::-1]
