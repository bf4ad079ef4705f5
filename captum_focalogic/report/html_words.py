"""A focus in words that need no knowledge of the method."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from captum_focalogic.focus import Focus
from captum_focalogic.logic import absorb, symbol
from captum_focalogic.metrics import Behaviour, BehaviourKind
from captum_focalogic.search.certificate import Certificate

Standing = Literal["certain", "limited", "open"]


@dataclass(frozen=True)
class Statement:
    """One thing that is known, or not.

    Attributes
    ----------
    standing : {"certain", "limited", "open"}
        Checked in full; true under a condition; not checked or not true.
    text : str
        One or two sentences.
    """

    standing: Standing
    text: str


_STOPPED = {
    "max_evaluations": "the number of questions it was allowed was used up",
    "time_limit": "its time was up",
    "interrupted": "it was interrupted",
    "memory": "the rest would not have fitted in memory",
}

_READING = {
    "irreducible": "A final state is a selection of regions that keeps the decision and has no region to spare: "
    "whichever one is taken away, the decision is lost.",
    "minimal": "A final state is a selection of regions that keeps the decision while no smaller part of it does.",
    "smallest": "A final state is a selection that keeps the decision with as few regions as possible.",
}

BEHAVIOUR_WORDS: dict[BehaviourKind, str] = {
    "holistic": "uses the object as a whole: what it needs lies on the object and covers most of it",
    "compositional": "makes do with different parts of the object, one in the place of another",
    "narrow": "always needs the same small part of the object",
    "distracted": "sees the object, but leans on its surroundings as well",
    "misled": "looks at something else than the object",
    "unclassified": "fits none of the described types",
}


def summary(focus: Focus) -> str:
    """What the explanation comes to, in at most three sentences."""
    states = focus.final_states
    if not len(states):
        if focus.evaluated.valid[:1].any():
            return "The search ended before it found a selection of regions that has nothing to spare."
        return "The whole image does not meet the criterion, so there is nothing to explain."
    if not states.any(axis=1).all():
        return (
            "The decision stands even with every region replaced. It does not rest on the image at all, as far as "
            "this baseline can show: try another one."
        )
    areas = states @ focus.areas
    sizes = states.sum(axis=1)
    place = int(np.lexsort((areas, sizes))[0])
    smallest = f"{_regions(int(sizes[place]))} and {percent(areas[place])} of the image"
    if len(states) == 1:
        return f"One selection of regions carries the decision: {smallest}."
    count = f"{len(states):,} selections of regions each carry the decision; the smallest is {smallest}."
    shared = [focus.names.get(int(region)) or str(symbol(int(region))) for region in focus.region_ids[focus.shared]]
    if len(shared) > 4:
        return f"{count} All of them need the same {len(shared)} regions."
    if shared:
        return f"{count} All of them need {_listed(shared)}."
    return f"{count} No region is in all of them: each can be done without."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def percent(share: float) -> str:
    """A share as a percentage of two figures."""
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def certificate_words(certificate: Certificate, any_states: bool = True) -> list[Statement]:
    """What was checked, in everyday words."""
    said = [_asked(certificate), _chosen(certificate)]
    if any_states:
        said.append(_spare(certificate))
    said.append(_completeness(certificate))
    if certificate.reading == "irreducible" and any_states:
        said.append(_reached(certificate))
    said.append(_monotone(certificate))
    if certificate.stopped:
        said.append(Statement("limited", f"The search ended early: {_STOPPED[certificate.stopped]}."))
    return said


def _chosen(certificate: Certificate) -> Statement:
    if certificate.derived:
        # What is least among states found by deletion need not be least among all states.
        return Statement("limited", f"The final states listed are {certificate.derived}.")
    return Statement("certain", _READING[certificate.reading])


def _asked(certificate: Certificate) -> Statement:
    share = math.ldexp(certificate.evaluations, -certificate.num_regions)
    total = f"{2**certificate.num_regions:,}" if certificate.num_regions <= 40 else f"2^{certificate.num_regions}"
    if share >= 1:
        text = f"The model was asked about every one of the {total} possible selections of regions."
    else:
        text = (
            f"The model was asked about {certificate.evaluations:,} different selections of regions, "
            f"{percent(share)} of the {total} there are."
        )
    return Statement("certain", f"{text} Search: {certificate.strategy}.")


def _spare(certificate: Certificate) -> Statement:
    if certificate.irreducible:
        return Statement(
            "certain",
            "Nothing to spare: from every final state each single region was taken away in turn, and each time the "
            "model lost the decision.",
        )
    return Statement(
        "open",
        "Whether every final state has nothing to spare was not checked for all of them: some may be larger "
        "than they need to be.",
    )


def _completeness(certificate: Certificate) -> Statement:
    if certificate.complete == "yes":
        return Statement(
            "certain", "None is missing: there is no other final state, whatever the model is like inside."
        )
    if certificate.complete == "if monotone":
        return Statement(
            "limited",
            "None is missing provided that showing the model more of the image never makes it lose the decision. Most "
            "models do lose it now and then, so this is likely rather than certain.",
        )
    if certificate.complete == "bound" and certificate.unseen_bound is not None:
        return Statement(
            "limited",
            "Some may be missing. A fresh attempt, taking regions away in random order, ends in one that is not "
            f"listed here with a probability of at most {percent(certificate.unseen_bound)} (with 95 % confidence).",
        )
    if certificate.complete_up_to is not None:
        return Statement(
            "limited",
            f"No final state of up to {_regions(certificate.complete_up_to)} is missing. Larger ones may be.",
        )
    return Statement("open", "Some may be missing: the search did not look everywhere.")


def _reached(certificate: Certificate) -> Statement:
    if certificate.reached:
        return Statement(
            "certain",
            "Each was reached from the whole image one region at a time, the decision standing at every step.",
        )
    return Statement("open", "Whether each can be reached from the whole image one region at a time was not checked.")


def _monotone(certificate: Certificate) -> Statement:
    if certificate.violations:
        return Statement(
            "limited",
            f"More is not always better for this model: {certificate.violations:,} time(s) a selection kept the "
            "decision and a larger one that contains it did not. The formula speaks of what is enough, so for such "
            "larger selections it can say yes where the model says no.",
        )
    if certificate.evaluations >= 2**certificate.num_regions:
        return Statement("certain", "Showing the model more of the image never makes it lose the decision.")
    return Statement(
        "limited",
        "Among the selections asked, adding regions never lost the decision. That was observed, not proved: not all "
        "selections were asked.",
    )


def _regions(count: int) -> str:
    return "1 region" if count == 1 else f"{count} regions"


def behaviour_words(found: Behaviour) -> str:
    """What the type of behaviour means."""
    return f"The model {BEHAVIOUR_WORDS[found.kind]}."


def needed(focus: Focus) -> int:
    """How many regions stand in the formula, after sets that contain others are left out."""
    minimal = absorb(focus.final_states)
    return int(minimal.any(axis=0).sum()) if len(minimal) else 0
