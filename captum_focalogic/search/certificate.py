"""What a search result may claim, and in which words."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from captum_focalogic.errors import InputError
from captum_focalogic.tables import printable

Reading = Literal["irreducible", "minimal", "smallest"]
"""Which states are meant by "final" (paper section 3.2; the paper can be read in these three ways)."""

Completeness = Literal["yes", "if monotone", "bound", "no"]

StopReason = Literal["max_evaluations", "time_limit", "interrupted", "memory"]

Smallest = Literal["open", "size", "all"]
"""What is known of the smallest states: bounds of their size; their size, and some of them; all of them."""

StateKind = Literal[Reading, "unfinished"]
"""What final states can be called."""

Standing = Literal["certain", "limited", "open"]

READINGS: tuple[Reading, ...] = get_args(Reading)

_MEANING = {
    "irreducible": "each keeps the prediction and has no region to spare",
    "minimal": "each keeps the prediction and no smaller part of it does",
    "smallest": "each keeps the prediction with the fewest regions that can",
}
_STOPPED = {
    "max_evaluations": "the evaluation budget does not reach further",
    "time_limit": "the time limit was reached",
    "interrupted": "it was interrupted",
    "memory": "the frontier would not have fitted in memory",
}
_PLAIN_MEANING = {
    "irreducible": "A final state is a selection of regions that keeps the decision and has no region to spare: "
    "whichever one is taken away, the decision is lost.",
    "minimal": "A final state is a selection of regions that keeps the decision while no smaller part of it does.",
    "smallest": "A final state is a selection that keeps the decision with as few regions as possible.",
}
_PLAIN_STOPPED = {
    "max_evaluations": "the number of questions it was allowed does not reach further",
    "time_limit": "its time was up",
    "interrupted": "it was interrupted",
    "memory": "the rest would not have fitted in memory",
}


@dataclass(frozen=True)
class Statement:
    """One thing that is known, or not, in words that need no knowledge of the method.

    Attributes
    ----------
    standing : {"certain", "limited", "open"}
        Checked in full; true under a condition; not checked or not true.
    text : str
        One or two sentences.
    """

    standing: Standing
    text: str


@dataclass(frozen=True)
class Certificate:
    """What was checked about a set of final states, no more.

    Attributes
    ----------
    strategy : str
        The search, with its settings.
    reading : {"irreducible", "minimal", "smallest"}
        What "final" means here. A search for the smallest states that ends early has irreducible ones: see
        :attr:`kind`.
    num_regions : int
        M, the number of regions.
    evaluations : int
        States the model was asked about, the whole image included; each is asked once.
    batches : int
        Batches those states were asked in.
    irreducible : bool
        True if, for every final state, all states with one region fewer were asked and are invalid.
    complete : {"yes", "if monotone", "bound", "no"}
        "yes": no final state is missing, on any deterministic model. "if monotone": none is missing provided that
        adding a region never invalidates a valid state. "bound": see ``unseen_bound``. "no": some may be missing.
    complete_up_to : int or None
        Every set of at most this many regions was asked or contains a valid one, so that none of these is missing on
        any deterministic model; -1 before the empty set, None where sets were not asked by size.
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
    num_states : int or None
        How many final states it speaks of; None where that is not known.
    unfinished : int
        How many of them may have regions to spare, as the search ended before all their single deletions were asked.
    least : int or None
        k, the fewest regions of any final state; None if there is none, or where that is not known.
    within : int or None
        Of a level of a zoom: how many of the regions the search had to choose from. The others had been dropped
        beforehand, together, and stayed so; nothing is said of sets that hold any of them. None for all regions.
    also : str or None
        Of a level of a zoom: what regions were filled with a second time. A state is valid where the prediction is kept
        under both removals. None for one removal.
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
    num_states: int | None = None
    unfinished: int = 0
    least: int | None = None
    within: int | None = None
    also: str | None = None

    @property
    def smallest(self) -> Smallest | None:
        """What is known of the smallest states; None where sets were not asked by size, or nothing is valid.

        "open": they have more than ``complete_up_to`` regions and at most ``least``. "size": they have ``least``
        regions, and the final states may lack some of them. "all": the final states hold all of them.
        """
        if self.complete_up_to is None or self.least is None:
            return None
        if self.complete_up_to < self.least - 1:
            return "open"
        return "size" if self.complete_up_to < self.least else "all"

    @property
    def kind(self) -> StateKind:
        """What the states can be called, whatever was looked for.

        Those of a search for the smallest ones are irreducible while that is open; where none is known to have no
        region to spare, they are unfinished.
        """
        if self.unfinished and self.unfinished == self.num_states:
            return "unfinished"
        return "irreducible" if self.reading == "smallest" and self.smallest == "open" else self.reading

    def __str__(self) -> str:
        return "\n".join(map(printable, self.sentences()))

    def sentences(self) -> list[str]:
        """The certificate in words, one claim a sentence."""
        said = [
            f"Search: {self.strategy}, {_counted(self.evaluations, 'evaluation')} in {_counted(self.batches, 'batch')}"
            f" ({self._share_of_all()} of the 2^{self.num_regions} region sets).",
            f"Reading: {self._meaning()}.",
            f"Complete: {self._completeness()}.",
        ]
        if self._any_states:
            said.append(self._irreducibility())
            if self.reading == "irreducible":
                said.append(
                    "Reached: each by dropping single regions from the whole image, every step keeping the prediction."
                    if self.reached
                    else "Reached: not checked; certain only if adding a region never invalidates a valid set."
                )
        if self.within is not None:
            said.append(
                f"Relative: to what coarser levels dropped; looked for among {self.within} of the "
                f"{self.num_regions} regions, all others gone."
            )
        if self.also is not None:
            said.append(f"Removals: two; each state was judged with {self.also} as well, and is valid under both only.")
        if self.violations:
            said.append(
                f"Not monotone: {self.violations:,} pair(s) met in which adding regions to a valid set invalidated it."
            )
        if self.stopped:
            said.append(f"Stopped early: {_STOPPED[self.stopped]}.")
        return said

    def plain(self) -> list[Statement]:
        """The same claims in everyday words."""
        said = [self._plain_search(), self._plain_meaning()]
        if self._any_states:
            said.append(self._plain_irreducibility())
        said.append(self._plain_completeness())
        if self._any_states and self.reading == "irreducible":
            said.append(self._plain_reached())
        if self.within is not None:
            said.append(
                Statement(
                    "limited",
                    f"All this is relative to what coarser levels dropped: only {self.within} of the "
                    f"{_regions(self.num_regions)} were chosen from, all others gone. What could be built of those "
                    "was not looked at.",
                )
            )
        if self.also is not None:
            said.append(
                Statement(
                    "certain", f"Enough means so twice: each selection was judged with {self.also} as the fill as well."
                )
            )
        if self._any_states or self.violations:
            # Where nothing was met that keeps the prediction, adding regions cannot have lost it.
            said.append(self._plain_monotone())
        if self.stopped:
            said.append(Statement("limited", f"The search ended early: {_PLAIN_STOPPED[self.stopped]}."))
        return said

    @property
    def _any_states(self) -> bool:
        return self.num_states != 0

    @property
    def _nothing_valid(self) -> bool:
        """Whether there is no final state because the whole image is not valid."""
        return self.num_states == 0 and self.complete == "yes"

    def _share_of_all(self) -> str:
        share = math.ldexp(100 * self.evaluations, -self.num_regions)
        return f"{share:.3g} %" if share >= 0.001 else "less than 0.001 %"

    def _meaning(self) -> str:
        if self.derived:
            return f"{self.reading} ({self.derived})"
        if not self._any_states:
            return self.reading
        if self.kind == "unfinished":
            return f"{self.reading}, unfinished (each keeps the prediction; some may have regions to spare)"
        found = ", found on the way to the smallest" if self.kind != self.reading else ""
        return f"{self.kind}{found} ({_MEANING[self.kind]})"

    def _completeness(self) -> str:
        if self._nothing_valid:
            return "yes, the whole image does not keep the prediction, so by definition there is no final state"
        if self.complete == "yes":
            return "yes, no final state is missing, on any deterministic model"
        if self.complete == "if monotone":
            return "yes if adding a region never invalidates a valid set, which was not checked for all sets"
        if self.complete == "bound" and self.unseen_bound is not None:
            return (
                "not proved; with 95 % confidence a new random deletion order ends in an unseen final state "
                f"with probability at most {self.unseen_bound:.3g}"
            )
        if self.reading == "smallest" and self.complete_up_to is not None and self.smallest == "open":
            return (
                f"no, open; the smallest valid set has between {self.complete_up_to + 1} and {self.least} region(s), "
                "on any deterministic model"
            )
        if self.reading == "smallest" and self.smallest == "size":
            return (
                f"the size; no set of fewer than {self.least} region(s) is valid, on any deterministic model; "
                "further states of that size may be missing"
            )
        if self.complete_up_to is not None and self.complete_up_to >= 0:
            return (
                f"up to {self.complete_up_to} region(s), on any deterministic model; larger final states may be missing"
            )
        return "no, final states may be missing"

    def _irreducibility(self) -> str:
        if self.irreducible:
            return "Irreducible: checked, every single deletion from every state was asked and loses the prediction."
        if self.unfinished:
            return (
                f"Irreducible: not checked for {self.unfinished:,} unfinished state(s), which may have regions to spare"
                f"{'; checked for the others' if self.num_states != self.unfinished else ''}."
            )
        return "Irreducible: not checked for every state."

    def _plain_search(self) -> Statement:
        share = math.ldexp(self.evaluations, -self.num_regions)
        total = f"{2**self.num_regions:,}" if self.num_regions <= 40 else f"2^{self.num_regions}"
        if share >= 1:
            text = f"The search asked the model about every one of the {total} possible selections of regions."
        else:
            text = (
                f"The search asked the model about {_counted(self.evaluations, 'different selection')} of regions, "
                f"{percent(share)} of the {total} there are."
            )
        return Statement("certain", f"{text} Search: {self.strategy}.")

    def _plain_meaning(self) -> Statement:
        if self.derived:
            # What is least among states found by deletion need not be least among all states.
            return Statement("limited", f"The final states listed are {self.derived}.")
        kind = "irreducible" if self.kind == "unfinished" else self.kind
        return Statement("certain", _PLAIN_MEANING[kind])

    def _plain_irreducibility(self) -> Statement:
        if self.irreducible:
            return Statement(
                "certain",
                "Nothing to spare: from every final state each single region was taken away in turn, and each time the "
                "model lost the decision.",
            )
        if self.kind == "unfinished":
            return Statement("open", "What was found is unfinished: enough, and perhaps larger than it needs to be.")
        if self.unfinished:
            return Statement(
                "open",
                f"{self.unfinished:,} of those found: unfinished, which means enough, and perhaps larger than it needs "
                "to be. Each of the others has nothing to spare.",
            )
        return Statement(
            "open",
            "Whether every final state has nothing to spare was not checked for all of them: some may be larger "
            "than they need to be.",
        )

    def _plain_completeness(self) -> Statement:
        if self._nothing_valid:
            return Statement("certain", "There is none: the whole image does not lead to the decision either.")
        if self.complete == "yes":
            return Statement(
                "certain", "None is missing: there is no other final state, on any model that answers alike each time."
            )
        if self.complete == "if monotone":
            return Statement(
                "limited",
                "None is missing provided that showing the model more of the image never makes it lose the decision. "
                "Most models do lose it now and then, so this is likely rather than certain.",
            )
        if self.complete == "bound" and self.unseen_bound is not None:
            return Statement(
                "limited",
                "Some may be missing. A fresh attempt, taking regions away in random order, ends in one that is not "
                f"listed here with a probability of at most {percent(self.unseen_bound)} (with 95 % confidence).",
            )
        if self.reading == "smallest" and self.complete_up_to is not None and self.smallest == "open":
            return Statement(
                "open",
                f"Smaller ones may exist: the smallest needs between {self.complete_up_to + 1} and "
                f"{_regions(self.least or 0)}.",
            )
        if self.reading == "smallest" and self.smallest == "size":
            return Statement(
                "limited",
                f"Fewer than {_regions(self.least or 0)} are never enough. Others of this size may be missing.",
            )
        if self.complete_up_to is not None and self.complete_up_to >= 0:
            return Statement(
                "limited",
                f"No final state of up to {_regions(self.complete_up_to)} is missing. Larger ones may be.",
            )
        return Statement("open", "Some may be missing: the search did not look everywhere.")

    def _plain_reached(self) -> Statement:
        if self.reached:
            return Statement(
                "certain",
                "Each was reached from the whole image one region at a time, the decision standing at every step.",
            )
        return Statement(
            "open", "Whether each can be reached from the whole image one region at a time was not checked."
        )

    def _plain_monotone(self) -> Statement:
        if self.violations:
            return Statement(
                "limited",
                f"More is not always better for this model: {self.violations:,} time(s) a selection kept the "
                "decision and a larger one that contains it did not. The formula speaks of what is enough, so for such "
                "larger selections it can say yes where the model says no.",
            )
        if self.evaluations >= 2**self.num_regions:
            return Statement("certain", "Showing the model more of the image never makes it lose the decision.")
        return Statement(
            "limited",
            "Among the selections that the search asked about, adding regions never lost the decision. That was "
            "observed, not proved: not all selections were asked about.",
        )

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Certificate":
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        InputError
            If a field is missing, unknown or of another type, or if two fields contradict each other.
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
        certificate = cls(**fields)
        contradiction = next((said for said, holds in _LAWS.items() if not holds(certificate)), None)
        if contradiction:
            raise InputError(f"the fields of the certificate contradict each other: {contradiction}; got {fields}")
        return certificate


def percent(share: float) -> str:
    """A share as a percentage of two figures."""
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def _regions(count: int) -> str:
    return "1 region" if count == 1 else f"{count} regions"


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
    "complete_up_to": lambda v: v is None or _is_count(v) or (isinstance(v, int) and v == -1),
    "unseen_bound": lambda v: v is None or (isinstance(v, int | float) and 0 <= v <= 1),
    "reached": lambda v: isinstance(v, bool),
    "violations": _is_count,
    "stopped": lambda v: v is None or v in get_args(StopReason),
    "derived": lambda v: v is None or isinstance(v, str),
    "num_states": lambda v: v is None or _is_count(v),
    "unfinished": _is_count,
    "least": lambda v: v is None or _is_count(v),
    "within": lambda v: v is None or _is_count(v),
    "also": lambda v: v is None or isinstance(v, str),
}
_REQUIRED = ("strategy", "reading", "num_regions", "evaluations", "batches", "irreducible", "complete")

_LAWS: dict[str, Callable[[Certificate], bool]] = {
    'complete "bound" needs unseen_bound': lambda c: c.complete != "bound" or c.unseen_bound is not None,
    "complete_up_to is at most num_regions": lambda c: (c.complete_up_to or 0) <= c.num_regions,
    "each of the 2^num_regions states is asked once": lambda c: (
        c.evaluations.bit_length() <= c.num_regions or c.evaluations == 1 << c.num_regions
    ),
    "a batch holds at least one state": lambda c: c.batches <= c.evaluations,
    "violations are pairs of states asked": lambda c: 4 * c.violations <= c.evaluations**2,
    "final states are among the states asked": lambda c: (c.num_states or 0) <= c.evaluations,
    "unfinished states are among the final ones": lambda c: c.num_states is None or c.unfinished <= c.num_states,
    "irreducible says that no state is unfinished": lambda c: not (c.irreducible and c.unfinished),
    "within is at most num_regions": lambda c: (c.within or 0) <= c.num_regions,
    "least is at most num_regions": lambda c: (c.least or 0) <= c.num_regions,
    "least is the size of some final state": lambda c: c.least is None or c.num_states != 0,
    'complete "yes" says that no state is unfinished': lambda c: c.complete != "yes" or not c.unfinished,
    'complete "if monotone" is refuted by violations': lambda c: c.complete != "if monotone" or not c.violations,
    "all of the smallest states are known where all sets of their size are": lambda c: (
        c.reading != "smallest" or c.complete != "yes" or c.complete_up_to is None or c.smallest in (None, "all")
    ),
    'an unseen_bound is of complete "bound"': lambda c: c.unseen_bound is None or c.complete == "bound",
    "what was asked was asked in a batch": lambda c: c.batches > 0 or not c.evaluations,
    "irreducible needs every single deletion asked": lambda c: (
        not (c.irreducible and c.num_states) or (c.least or 0) + c.num_states <= c.evaluations
    ),
}
"""What holds among the fields of every certificate."""
