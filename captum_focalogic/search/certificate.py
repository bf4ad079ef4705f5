"""What a search result may claim, and in which words."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from captum_focalogic.errors import InputError

Reading = Literal["irreducible", "minimal", "smallest"]
"""Which states are meant by "final" (paper section 3.2; the paper can be read in these three ways)."""

Completeness = Literal["yes", "if monotone", "bound", "no"]

StopReason = Literal["max_evaluations", "time_limit", "interrupted", "memory"]

READINGS: tuple[Reading, ...] = get_args(Reading)

_MEANING = {
    "irreducible": "each keeps the prediction and has no region to spare",
    "minimal": "each keeps the prediction and no smaller part of it does",
    "smallest": "each keeps the prediction with the fewest regions that can",
}
_STOPPED = {
    "max_evaluations": "the evaluation budget was spent",
    "time_limit": "the time limit was reached",
    "interrupted": "it was interrupted",
    "memory": "the frontier would not have fitted in memory",
}


@dataclass(frozen=True)
class Certificate:
    """What was checked about a set of final states, no more.

    Attributes
    ----------
    strategy : str
        The search, with its settings.
    reading : {"irreducible", "minimal", "smallest"}
        What "final" means here.
    num_regions : int
        M, the number of regions.
    evaluations : int
        States the model was asked about, the whole image included; each is asked once.
    batches : int
        Batches those states were asked in.
    irreducible : bool
        True if, for every final state, all states with one region fewer were asked and are invalid.
    complete : {"yes", "if monotone", "bound", "no"}
        "yes": no final state is missing, on any model. "if monotone": none is missing provided that adding a region
        never invalidates a valid state. "bound": see ``unseen_bound``. "no": some may be missing.
    complete_up_to : int or None
        No final state of at most this many regions is missing, on any model (ascending search).
    unseen_bound : float or None
        With 95 % confidence, a new random deletion order ends in an unseen final state with at most this probability.
    reached : bool
        True if every final state was reached from the whole image by dropping one region at a time, each step keeping
        the prediction, which the reading "irreducible" asks for. False if that was not checked; on a monotone model it
        holds all the same.
    violations : int
        Pairs among the states asked in which a valid one is contained in an invalid one: proof that the model is not
        monotone here. All pairs count, or only those one region apart where there are too many states to compare.
    stopped : {"max_evaluations", "time_limit", "interrupted", "memory"} or None
        Why the search ended before it was done; None if it was done.
    derived : str or None
        How the states came out of those of another reading; None if the search found them as they are.
    """

    strategy: str
    reading: Reading
    num_regions: int
    evaluations: int
    batches: int
    irreducible: bool
    complete: Completeness
    complete_up_to: int | None = None
    unseen_bound: float | None = None
    reached: bool = False
    violations: int = 0
    stopped: StopReason | None = None
    derived: str | None = None

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> list[str]:
        """The certificate in words, one claim a sentence."""
        said = [
            f"Search: {self.strategy}, {_counted(self.evaluations, 'evaluation')} in {_counted(self.batches, 'batch')}"
            f" ({self._share_of_all()} of the 2^{self.num_regions} region sets).",
            f"Reading: {self.reading} ({self.derived or _MEANING[self.reading]}).",
        ]
        said.append(f"Complete: {self._completeness()}.")
        said.append(
            "Irreducible: checked, every single deletion from every state was asked and loses the prediction."
            if self.irreducible
            else "Irreducible: not checked for every state."
        )
        if self.reading == "irreducible":
            said.append(
                "Reached: each by dropping single regions from the whole image, every step keeping the prediction."
                if self.reached
                else "Reached: not checked; certain only if adding a region never invalidates a valid set."
            )
        if self.violations:
            said.append(
                f"Not monotone: {self.violations:,} pair(s) met in which adding regions to a valid set invalidated it."
            )
        if self.stopped:
            said.append(f"Stopped early: {_STOPPED[self.stopped]}.")
        return said

    def _share_of_all(self) -> str:
        share = math.ldexp(100 * self.evaluations, -self.num_regions)
        return f"{share:.3g} %" if share >= 0.001 else "less than 0.001 %"

    def _completeness(self) -> str:
        if self.complete == "yes":
            return "yes, no final state is missing, whatever the model"
        if self.complete == "if monotone":
            return "yes if adding a region never invalidates a valid set, which was not checked for all sets"
        if self.complete == "bound" and self.unseen_bound is not None:
            return (
                "not proved; with 95 % confidence a new random deletion order ends in an unseen final state "
                f"with probability at most {self.unseen_bound:.3g}"
            )
        if self.complete_up_to is not None:
            return f"up to {self.complete_up_to} region(s), whatever the model; larger final states may be missing"
        return "no, final states may be missing"

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Certificate":
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        InputError
            If a field is missing, unknown or of another type.
        """
        if not isinstance(fields, dict):
            raise InputError(f"a certificate must be an object of fields; got {type(fields).__name__}")
        unknown = sorted(set(fields) - set(_CHECKS))
        missing = sorted(name for name in _REQUIRED if name not in fields)
        if unknown or missing:
            raise InputError(f"certificate fields missing: {missing or 'none'}; unknown: {unknown or 'none'}")
        for name, value in fields.items():
            if not _CHECKS[name](value):
                raise InputError(f"certificate field {name!r} has the value {value!r}, which it cannot take")
        return cls(**fields)


def _counted(count: int, thing: str) -> str:
    if count != 1:
        thing += "es" if thing.endswith("ch") else "s"
    return f"{count:,} {thing}"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "strategy": lambda v: isinstance(v, str),
    "reading": lambda v: v in READINGS,
    "num_regions": _is_count,
    "evaluations": _is_count,
    "batches": _is_count,
    "irreducible": lambda v: isinstance(v, bool),
    "complete": lambda v: v in get_args(Completeness),
    "complete_up_to": lambda v: v is None or _is_count(v),
    "unseen_bound": lambda v: v is None or (isinstance(v, int | float) and 0 <= v <= 1),
    "reached": lambda v: isinstance(v, bool),
    "violations": _is_count,
    "stopped": lambda v: v is None or v in get_args(StopReason),
    "derived": lambda v: v is None or isinstance(v, str),
}
_REQUIRED = ("strategy", "reading", "num_regions", "evaluations", "batches", "irreducible", "complete")
