"""A focus in words that need no knowledge of the method."""

from collections.abc import Sequence

from captum_focalogic.focus import Focus
from captum_focalogic.logic import symbol
from captum_focalogic.metrics import Behaviour, BehaviourKind
from captum_focalogic.search.certificate import percent

BEHAVIOUR_WORDS: dict[BehaviourKind, str] = {
    "holistic": "uses the object as a whole: what it rests on lies on the object and covers most of it",
    "compositional": "makes do with different parts of the object, one in the place of another",
    "narrow": "keeps to the same small part of the object",
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
    first = states[focus.strongest[0]]
    strongest = f"{_regions(int(first.sum()))} and {percent(float(focus.areas[first].sum()))} of the image"
    if len(states) == 1:
        if focus.certificate.complete != "yes":
            return f"One selection of regions was found that carries the decision: {strongest}."
        return f"One selection of regions carries the decision: {strongest}."
    count = f"{len(states):,} selections of regions each carry the decision; the strongest is {strongest}."
    shared = [focus.names.get(int(region)) or str(symbol(int(region))) for region in focus.region_ids[focus.shared]]
    if len(shared) > 4:
        return f"{count} All of them keep the same {len(shared)} regions."
    if shared:
        return f"{count} All of them keep {listed(shared)}."
    return f"{count} No region is in all of them: each can be done without."


def lack_words(focus: Focus) -> str:
    """Why an answer that names the explained class may not count, under this criterion; empty where it is not known."""
    criterion = focus.provenance.criterion or ""
    if criterion.startswith(("top1+", "probability")):
        return "as too little is left of its probability"
    if criterion.startswith("over"):
        return "as too little is left of its lead"
    return "as it is not far enough ahead" if criterion.startswith("margin") else ""


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _regions(count: int) -> str:
    return "1 region" if count == 1 else f"{count} regions"


def behaviour_words(found: Behaviour) -> str:
    """What the type of behaviour means."""
    return f"The model {BEHAVIOUR_WORDS[found.kind]}."
