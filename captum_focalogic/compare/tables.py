"""Comparisons as tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from captum_focalogic.compare.comparison import Comparison
from captum_focalogic.compare.measures import Measures
from captum_focalogic.errors import InputError
from captum_focalogic.tables import UNDEFINED, Table

_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("evaluations", "evaluations", ",.0f"),
    ("seconds", "seconds", ".2f"),
    ("area", "area", ".2f"),
    ("sufficient", "sufficient", ".2f"),
    ("minimal", "minimal", ".2f"),
    ("necessary", "necessary", ".2f"),
    ("explanations", "explanations", ".1f"),
    ("insertion", "insertion", ".3f"),
    ("deletion", "deletion", ".3f"),
    ("pointing", "pointing", ".2f"),
    ("precision", "precision", ".2f"),
    ("recall", "recall", ".2f"),
    ("rule_f1", "rule F1", ".2f"),
    ("rule_exact", "exact rule", ".2f"),
    ("stability", "stability", ".2f"),
)
_FLAGS = ("sufficient", "minimal", "necessary")


@dataclass(frozen=True)
class Averages(Table):
    """Measures by method: a row each, "-" where a measure is not defined; the notes say what was skipped and why.

    Attributes
    ----------
    images : int
        Over how many images.
    """

    images: int = 1


def summarise(comparisons: Comparison | Sequence[Comparison]) -> Averages:
    """One table of the measures, averaged over images where there are several.

    An average leaves out images on which a measure is not defined; a method that was skipped on some images is averaged
    over the others, and a note says so.

    Raises
    ------
    InputError
        If there is no comparison.
    """
    listed = [comparisons] if isinstance(comparisons, Comparison) else list(comparisons)
    if not listed:
        raise InputError("a table needs at least one comparison; got none")
    names = list(dict.fromkeys(result.name for comparison in listed for result in comparison.results))
    found = {
        name: [result.measures for comparison in listed for result in comparison.results if result.name == name]
        for name in names
    }
    columns = [column for column in _COLUMNS if any(not math.isnan(_mean(of, column[0])) for of in found.values())]
    rows = tuple((name, *(_cell(found[name], key, form, len(listed)) for key, _, form in columns)) for name in names)
    header = ("method", *(title for _, title, _ in columns))
    return Averages(header, rows, notes=_notes(listed), images=len(listed))


def characteristics(comparisons: Sequence[Comparison]) -> Averages:
    """What methods are claimed to be (paper, Table 1), as measured: on which share of the images it holds."""
    listed = list(comparisons)
    if not listed:
        raise InputError("a table needs at least one comparison; got none")
    rows = []
    for name in dict.fromkeys(result.name for comparison in listed for result in comparison.results):
        results = [result for comparison in listed for result in comparison.results if result.name == name]
        of = [result.measures for result in results]
        rows.append(
            (
                name,
                "no" if results[0].method.gradients else "yes",
                *(_share(of, key) for key in _FLAGS),
                f"{_mean(of, 'explanations'):.1f}",
                "yes"
                if results[0].attribution.focus is not None
                else "effects"
                if results[0].attribution.terms
                else "no",
                UNDEFINED if math.isnan(_mean(of, "stability")) else f"{_mean(of, 'stability'):.2f}",
            )
        )
    header = ("method", "black box", *_FLAGS, "explanations", "logic", "stability")
    return Averages(header, rows, images=len(listed))


def _values(measures: Sequence[Measures], key: str) -> list[float]:
    return [float(getattr(measure, key)) for measure in measures if not math.isnan(float(getattr(measure, key)))]


def _mean(measures: Sequence[Measures], key: str) -> float:
    values = _values(measures, key)
    return float(np.mean(values)) if values else math.nan


def _share(measures: Sequence[Measures], key: str) -> str:
    values = _values(measures, key)
    return f"{int(sum(values))} of {len(values)}"


def _cell(measures: Sequence[Measures], key: str, form: str, images: int) -> str:
    value = _mean(measures, key)
    if math.isnan(value):
        return UNDEFINED
    if images == 1 and key in _FLAGS:
        return "yes" if value else "no"
    return format(value, ".0f" if images == 1 and key == "explanations" else form)


def _notes(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    reasons: dict[str, list[str]] = {}
    for comparison in comparisons:
        for name, reason in comparison.skipped.items():
            reasons.setdefault(name, []).append(reason)
    notes = [_skip_note(name, why, len(comparisons)) for name, why in reasons.items()]
    if len(comparisons) == 1:
        notes += [
            f"{result.name}: {result.attribution.note}" for result in comparisons[0].results if result.attribution.note
        ]
    return tuple(notes)


def _skip_note(name: str, reasons: list[str], images: int) -> str:
    where = "" if images == 1 else f" on {len(reasons)} of {images} images"
    example = "" if len(set(reasons)) == 1 else "for example, "
    return f"{name} was skipped{where}: {example}{reasons[0]}"
