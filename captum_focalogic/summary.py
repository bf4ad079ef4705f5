"""An explanation in the few lines that a person reads: what is enough, what cannot go, and how far that can be trusted.

Nothing is said that the model was not asked. "Enough" is a set that keeps the answer by itself, with this way of
removing the rest. "Without" is a set whose loss, all else kept, changes the answer; it is called needed only where no
region set that keeps the answer, of those that were asked, does without it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sympy import And, Or, Symbol
from sympy.logic.boolalg import Boolean, BooleanFalse, BooleanTrue

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError
from captum_focalogic.focus import MAX_SHOWN, Focus
from captum_focalogic.levels import Zoom, coarse_of
from captum_focalogic.logic import count_literals, symbol
from captum_focalogic.search.certificate import percent
from captum_focalogic.search.critical import CriticalSets
from captum_focalogic.search.growth import GrownSets
from captum_focalogic.tables import Column, Table

MOST_LITERALS = 12
"""Of a formula that is told in full; of longer ones the strongest sets are listed."""

REMOVED_TOKENS = (
    "dropped regions are not filled: the model leaves them out, in a transformer as tokens of whole patches"
)

MOST_PARTS = 4
"""Of a set of parts that are named one by one."""

ALTERNATIVES = 4
MOST_CRITICAL = 3


def removal_setting(removal: str | None, baseline: str | None) -> dict[str, str]:
    """How regions were taken away, as a setting by its name."""
    return {"Removal": "tokens, no fill"} if removal == "tokens" else {"Baseline": str(baseline)}


def removal_text(focus: Focus) -> str | None:
    """How dropped regions were taken away, as a sentence; None of a focus that does not tell."""
    asked = focus.provenance
    if asked.removal is None:
        return None
    if asked.removal == "tokens":
        return REMOVED_TOKENS
    return f"dropped regions are filled: {asked.baseline or asked.fill or 'with values that were given'}"


def summary(focus: Focus, against: str | None = None, grown: GrownSets | None = None) -> dict[str, str]:
    """What a focus says, by label; each text of one line, or a few.

    Parameters
    ----------
    focus : Focus
        The explanation.
    against : str, optional
        The class that the explained one was held against, where the criterion is of that kind.
    grown : GrownSets, optional
        Sets that are called the explained class where the whole image is not.
    """
    said = {"Prediction": prediction_text(focus)}
    if focus.target_name is not None and focus.prediction is not None and focus.prediction.index != focus.target:
        said["Explained"] = f"{focus.target_name}, which is not the prediction"
    said["Enough"] = enough_text(focus, against)
    if focus.zoom is not None:
        said["Zoom"] = zoom_text(focus, focus.zoom)
    if grown is not None:
        said["Alone"] = grown_text(focus, grown)
    if focus.critical is not None:
        said["Without"] = without_text(focus, against)
    # Of a formula that is never true there is nothing to trust.
    if focus.trust is not None and grown is None:
        said["Trust"] = str(focus.trust)
    if focus.provenance.removal == "tokens":
        said["Removal"] = REMOVED_TOKENS
    said["Certificate"] = certificate_text(focus)
    return said


def table(results: Any) -> Table:
    """Several results side by side, one a row: a table to print, or to write.

    Parameters
    ----------
    results : sequence or mapping of Answer or Focus
        What is set side by side; a single one too. The keys of a mapping name the rows.

    Returns
    -------
    Table
        With ``.text()`` (which ``print`` shows), ``.markdown()``, ``.latex()``, ``.csv()`` and ``.pandas()``. Of each
        result its image, model, prediction and probability; where another class was explained, that; the strongest set
        with its share of the image and the probability that it keeps; the formula; the number of final states, their
        reading, whether any can be missing, and how often the model was asked.

    Raises
    ------
    InputError
        If something among them is no result.

    Examples
    --------
    >>> from captum_focalogic import explain_images, table
    >>> print(table(explain_images("demo", photos)).latex())  # doctest: +SKIP
    """
    if isinstance(results, Mapping):
        titled = [(str(name), result) for name, result in results.items()]
    else:
        listed_results = list(results) if isinstance(results, Iterable) else [results]
        titled = [(getattr(each, "title", f"image {place}"), each) for place, each in enumerate(listed_results, 1)]
    columns: list[Column | str] = ["image", Column("model", "left"), Column("prediction", "left")]
    columns += [Column("probability", form=".2f")]
    columns += [Column("explained", "left"), Column("enough", "left"), Column("area", form=".0%")]
    columns += [Column("keeps", form=".2f"), Column("formula", "left"), "states", Column("reading", "left")]
    columns += [Column("complete", "left"), "asked"]
    return Table(columns, [_result_row(title, result) for title, result in titled])


def _result_row(title: str, result: Any) -> tuple[Any, ...]:
    focus = getattr(result, "focus", result)
    if not isinstance(focus, Focus):
        raise InputError(f"a table is of results (Answer or Focus); got a {type(result).__name__}")
    prediction, found = focus.prediction, len(focus.final_states) > 0
    state = focus.final_states[focus.strongest[0]] if found else None
    said = None if prediction is None else prediction.name or f"class {prediction.index}"
    return (
        title,
        focus.provenance.model,
        said,
        None if prediction is None else prediction.probability,
        None if focus.target is None else target_text(focus),
        None if state is None else regions_text(focus, state, "and") or "none",
        None if state is None else _area(focus, state),
        float(focus.probabilities[focus.strongest[0]]) if found else None,
        focus.formula if len(focus.final_states) <= MAX_SHOWN else "...",
        len(focus.final_states),
        focus.certificate.kind,
        focus.certificate.complete,
        focus.certificate.evaluations,
    )


def prediction_text(focus: Focus) -> str:
    """The model's answer to the whole image, with the runners-up."""
    prediction = focus.prediction
    if prediction is None or focus.target is None:
        return "an output without classes"
    first = prediction.name or f"class {prediction.index}"
    if prediction.probability is None:
        return first
    others = [
        f"{name or f'class {index}'} {probability:.2f}"
        for index, name, probability in prediction.top
        if index != prediction.index
    ]
    return f"{first} {prediction.probability:.2f}" + (f" (then {', '.join(others[:2])})" if others else "")


def enough_text(focus: Focus, against: str | None = None) -> str:
    """The strongest sufficient set, and the alternatives."""
    if not len(focus.final_states):
        if focus.evaluated.valid[:1].any():
            return "nothing smaller than the whole image was found before the search ended"
        if against is not None:
            return f"nothing: the whole image does not put {target_text(focus)} ahead of {against} either"
        return f"nothing: the whole image is not called {target_text(focus)} either"
    strongest = focus.final_states[focus.strongest[0]]
    if not strongest.any():
        if focus.provenance.removal == "tokens":
            return "no region at all: the answer stays with every patch left out, so leaving out explains nothing"
        return "no region at all: what the others are filled with is enough by itself, so this fill explains nothing"
    kept = focus.probabilities[focus.strongest[0]]
    likely = "" if np.isnan(kept) else f", {target_text(focus)} {kept:.2f}"
    unfinished = " (unfinished: it may be larger than it needs to be)" if focus.unfinished[focus.strongest[0]] else ""
    text = f"{_alone(focus, strongest, against)}: {percent(_area(focus, strongest))} of the image{likely}"
    return "\n".join([f"{text}{unfinished}", *_alternatives(focus)])


_STOPPED = {
    "area": "parts of these shrink it no further",
    "size": "smaller parts are not made",
    "levels": "the levels asked for are done",
    "nothing": "nothing smaller than the whole image is enough under both",
    "max_evaluations": "the budget was spent",
    "time_limit": "the time was up",
    "interrupted": "it was interrupted",
}


def zoom_text(focus: Focus, zoom: Zoom) -> str:
    """What is enough among the parts, under both removals; the way there; and what it is relative to."""
    fallen = not any(zoom.coarse_holds)
    coarse = f"with {zoom.second} the sets above fall" if fallen else f"holds with {zoom.second} too"
    if zoom.answer is None:
        return f"no set of parts was found that is enough under both removals: {_STOPPED[zoom.stopped]} ({coarse})"
    fine = zoom.answer
    strongest = fine.final_states[fine.strongest[0]]
    kept = fine.probabilities[fine.strongest[0]]
    likely = "" if np.isnan(kept) else f", {target_text(fine)} {kept:.2f}"
    keep = "keeps" if strongest.sum() == 1 else "keep"
    unfinished = " (unfinished: it may be larger than it needs to be)" if fine.unfinished[fine.strongest[0]] else ""
    lines = [
        f"{regions_text(fine, strongest, 'and')} {keep} it alone, with {zoom.second} too: "
        f"{percent(_area(fine, strongest))} of the image{likely}{unfinished}"
    ]
    if len(fine.final_states) > 1:
        others = "; or ".join(
            regions_text(fine, fine.final_states[row], "and") for row in fine.strongest[1:ALTERNATIVES]
        )
        lines.append(f"or {others}; by whole regions {in_words(fine.folded, focus.names)}")
    return "\n".join([*lines, zoom_way(focus, zoom)])


def zoom_way(focus: Focus, zoom: Zoom) -> str:
    """The areas of the levels, and what they are relative to."""
    coarse = percent(_area(focus, focus.final_states[focus.strongest[0]]))
    fallen = "" if any(zoom.coarse_holds) else f" (falls with {zoom.second})"
    levels = [percent(level.area) + ("" if level.stands else f" (falls with {zoom.second})") for level in zoom.levels]
    areas = ", then ".join([f"{coarse}{fallen}", *levels])
    return (
        f"area by level: {areas}, each relative to what the one before dropped; "
        f"{_STOPPED[zoom.stopped]} ({zoom.evaluations:,} evaluations in all)"
    )


def _alone(focus: Focus, state: Bools, against: str | None) -> str:
    """That a set is enough, and for what."""
    keep = "keeps" if state.sum() == 1 else "keep"
    regions = regions_text(focus, state, "and")
    if against is None:
        return f"{regions} {keep} it alone"
    return f"{regions} alone {keep} {target_text(focus)} ahead of {against}, by at least half of its lead"


def _alternatives(focus: Focus) -> list[str]:
    count = len(focus.final_states)
    if count == 1:
        return []
    complete = focus.certificate.complete == "yes"
    if count_literals(focus.expression) <= MOST_LITERALS:
        ways = f"in all {count} ways" if complete else f"in {count} ways found"
        return [f"{ways}: {in_words(focus.expression, focus.names)}   {focus.formula}"]
    shown = [regions_text(focus, focus.final_states[row], "and") for row in focus.strongest[1:ALTERNATIVES]]
    return [f"{count} ways{'' if complete else ' found'}; the next strongest: {'; '.join(shown)}"]


def grown_text(focus: Focus, grown: GrownSets) -> str:
    """Which regions alone are called what the whole image is not."""
    if not len(grown):
        return f"no set of regions was found that alone is called {target_text(focus)} ({grown.asked:,} asked)"
    lines = [grown_set_text(focus, grown, row) for row in range(len(grown))]
    first = (
        f"the whole is called {_whole_text(focus)}; {lines[0]}: {percent(_area(focus, grown.states[0]))} of the image"
    )
    others = [f"so are {'; '.join(lines[1:])}"] if len(lines) > 1 else []
    return "\n".join([first, *others]) + f" ({grown.asked:,} sets asked; others may exist)"


def grown_set_text(focus: Focus, grown: GrownSets, row: int) -> str:
    """One of these sets, and how likely the explained class is on it."""
    state, likely = grown.states[row], grown.probability[row]
    sure = "" if np.isnan(likely) else f", {likely:.2f}"
    if not state.any():
        if focus.provenance.removal == "tokens":
            return f"with every patch left out it is called {target_text(focus)}{sure}"
        return f"what the regions are filled with is by itself called {target_text(focus)}{sure}"
    verb = "is" if state.sum() == 1 else "are"
    spare = "" if grown.irreducible[row] else " (some may be spared)"
    return f"{regions_text(focus, state, 'and')} alone {verb} called {target_text(focus)}{sure}{spare}"


def _whole_text(focus: Focus) -> str:
    prediction = focus.prediction
    return "otherwise" if prediction is None else prediction.name or f"class {prediction.index}"


def without_text(focus: Focus, against: str | None = None) -> str:
    """The smallest critical sets, and what the model says without them."""
    critical = focus.critical
    if critical is None or not len(critical):
        loses = "changes the answer" if against is None else f"takes more than half of the lead over {against}"
        return f"no region, and no pair that was asked about, {loses} by its loss, all else kept"
    lines = [
        "; ".join(part for part in critical_text(focus, critical, row, against) if part)
        for row in range(min(MOST_CRITICAL, len(critical)))
    ]
    more = len(critical) - len(lines)
    if more:
        # On a line of its own: at the end of the last it would count sets that keep the answer.
        lines.append(f"and {more} more such set{'s' if more > 1 else ''}")
    return "\n".join(lines)


def critical_text(focus: Focus, critical: CriticalSets, row: int, against: str | None = None) -> tuple[str, str]:
    """What the model says without a critical set, and whether it is needed."""
    regions = regions_text(focus, critical.states[row], "and")
    return f"{regions}, all else kept, {then_text(focus, critical, row, against)}", _need(focus, critical, row)


def then_text(focus: Focus, critical: CriticalSets, row: int, against: str | None = None) -> str:
    """What the model says without a critical set."""
    says = f"the model says {_says(focus, critical, row, against)}"
    if against is None:
        return says
    return f"{target_text(focus)} keeps less than half of its lead over {against} ({says})"


def _says(focus: Focus, critical: CriticalSets, row: int, against: str | None) -> str:
    share = critical.probability[row]
    if critical.predicted is None:
        return "otherwise"
    index = int(critical.predicted[row])
    if index == focus.target:
        least = "" if np.isnan(share) or against is not None else f", but only at {share:.2f}"
        return f"{target_text(focus)} still{least}"
    return (critical.names[row] if row < len(critical.names) else None) or f"class {index}"


def _need(focus: Focus, critical: CriticalSets, row: int) -> str:
    """Whether it is needed, or which sufficient set does without it."""
    several = critical.states[row].sum() > 1
    if critical.needed[row]:
        each = f"each of the {critical.valid_asked:,} sets asked that keep the answer has"
        if several:
            return f"one of them is needed: {each} {regions_text(focus, critical.states[row], 'or')}"
        return f"needed: {each} it"
    for place in focus.strongest:
        state = focus.final_states[place]
        if not (state & critical.states[row]).any():
            return f"yet {regions_text(focus, state, 'and')} alone keep{'s' if state.sum() == 1 else ''} it"
    return f"yet some sets with{' none of them' if several else 'out it'} keep the answer"


def certificate_text(focus: Focus) -> str:
    """What is proved, in a line."""
    certificate = focus.certificate
    # Critical sets and trust were asked about besides: the proof rests on the search's own questions.
    asked = f"the search asked {certificate.evaluations:,} of the 2^{focus.num_regions} region sets"
    if not len(focus.final_states) and not focus.evaluated.valid[:1].any():
        return f"there is no set to look for, as the whole image is not enough ({asked})"
    if certificate.reading != "smallest" or certificate.smallest is None:
        known = "none is missing" if certificate.complete == "yes" else "some may be missing"
        return f"{known} of the {certificate.reading} sets ({asked})"
    least = certificate.least
    if certificate.smallest == "open":
        return f"the smallest set has {_between(certificate.complete_up_to or 0, least or 0)} regions ({asked})"
    all_there_are = "this is the only one" if len(focus.final_states) == 1 else "these are all"
    every = f"{all_there_are} of that size" if certificate.smallest == "all" else "others of that size may exist"
    if not least:
        return f"no region is needed ({asked})"
    proved = "a single region is" if least == 1 else f"no fewer than {least} regions are"
    return f"{proved} enough, and {every} ({asked})"


def _between(proved: int, found: int) -> str:
    return f"at least {proved + 1} and at most {found}"


def target_text(focus: Focus) -> str:
    """The explained class by name, or by number."""
    if focus.target_name is not None:
        return focus.target_name
    return "so" if focus.target is None else f"class {focus.target}"


def regions_text(focus: Focus, state: Bools, last: str) -> str:
    """Regions by name or number, such as ``6, 8 and 9``; of many parts, how many of each region."""
    if focus.parents and state.sum() > MOST_PARTS:
        return _parts_text(focus, state, last)
    return listed([region_text(region, focus) for region in focus.region_ids[state].tolist()], last)


def _parts_text(focus: Focus, state: Bools, last: str) -> str:
    """How many parts of each whole region, such as ``5 parts of 6 and 3 parts of 8``."""
    whole = [coarse_of(region, focus.parents) for region in focus.region_ids[state].tolist()]
    parts = {region for region in focus.region_ids[state].tolist() if region in focus.parents}
    words = []
    for region in dict.fromkeys(whole):
        count = whole.count(region)
        # A whole region's name is what its parts' names begin with.
        name = next((focus.names[part].split(".")[0] for part in parts if coarse_of(part, focus.parents) == region), "")
        words.append(f"{count} part{'s' if count > 1 else ''} of {name}" if name else region_text(region, focus))
    return listed(words, last)


def region_text(region: int, focus: Focus) -> str:
    """A region by its name, with its number where the name alone does not tell it, or by its number."""
    name = focus.names.get(region)
    if name is None:
        return str(region)
    alone = list(focus.names.values()).count(name) == 1
    return name if alone else f"{name} {region}"


def listed(words: Sequence[str], last: str) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def in_words(expression: Boolean, names: Mapping[int, str]) -> str:
    """A formula for people: ``8 together with 5 or 6``."""
    by_symbol = {symbol(region): name for region, name in names.items()}

    def say(node: Boolean, inner: bool) -> str:
        if isinstance(node, BooleanTrue | BooleanFalse):
            return "anything" if node else "nothing"
        if isinstance(node, Symbol):
            return by_symbol.get(node, _number_of(node))
        ordered = _ordered(node.args)
        parts = [say(part, True) for part in ordered]
        bracketed = [f"({part})" if _plain(arg) else part for part, arg in zip(parts, ordered, strict=True)]
        if isinstance(node, And):
            regions = sum(isinstance(arg, Symbol) for arg in ordered)
            # "1 or 2 together with 3" could be read as 1 alone.
            rest = parts[regions:] if regions and len(parts) == regions + 1 else bracketed[regions:]
            text = " together with ".join([listed(parts[:regions], "and"), *rest] if regions else rest)
            return f"({text})" if inner and rest else text
        # So could "1, 2 and 3 or 4" as 1 together with 2.
        commas = len(ordered) > 2 or any(isinstance(arg, And) and len(arg.args) > 2 for arg in ordered)
        text = listed(bracketed if commas else parts, "or")
        return f"({text})" if inner and any(isinstance(arg, And | Or) for arg in node.args) else text

    return say(expression, False)


def _plain(node: Boolean) -> bool:
    """Whether a node is a list of regions."""
    return isinstance(node, And | Or) and all(isinstance(part, Symbol) for part in node.args)


def _ordered(arguments: Iterable[Boolean]) -> list[Boolean]:
    return sorted(arguments, key=lambda part: (not isinstance(part, Symbol), _key(part)))


def _key(part: Boolean) -> tuple[float, str]:
    name = _number_of(part) if isinstance(part, Symbol) else ""
    return (float(name) if name.lstrip("-").isdecimal() else 0.0, str(part) if isinstance(part, Symbol) else "")


def _number_of(node: Symbol) -> str:
    """The region's number in a symbol such as ``I7`` or ``I_m3``."""
    text = str(node)
    if text.startswith("I_m") and text[3:].isdecimal():
        return f"-{text[3:]}"
    return text[1:] if text.startswith("I") and text[1:].isdecimal() else text


def _area(focus: Focus, state: Bools) -> float:
    return float(focus.areas[state].sum())


def state_captions(focus: Focus, most: int) -> list[str]:
    """The first final states: regions, share of the image, and the target's probability."""
    captions = []
    for state, probability in zip(focus.final_states[:most], focus.probabilities[:most], strict=True):
        text = f"{state_text(focus, state)}   {focus.areas[state].sum():.1%} of the image"
        captions.append(text if np.isnan(probability) else f"{text}, probability {probability:.3f}")
    return captions


def state_text(focus: Focus, state: Bools) -> str:
    """A state as its regions' symbols, such as ``I1 & I4``."""
    return " & ".join(str(symbol(region)) for region in focus.region_ids[state].tolist()) or "no region at all"
