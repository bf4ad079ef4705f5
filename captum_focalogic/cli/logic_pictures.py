"""What ``focalogic logic compare`` and ``draw`` do."""

from pathlib import Path
from typing import Any

import numpy as np
from sympy import And, Xor

from captum_focalogic.cli.facts import print_facts
from captum_focalogic.cli.failing import CommandError
from captum_focalogic.cli.sources import Source, read_image, read_source
from captum_focalogic.errors import InputError
from captum_focalogic.figures.difference import show_difference
from captum_focalogic.figures.overlays import contact_sheet
from captum_focalogic.focus import Focus
from captum_focalogic.logic import (
    difference,
    final_state_lattice,
    model_share,
    refinement_graph,
    render,
    symbol,
    to_graphviz,
    to_networkx,
    to_text,
)

Kept = frozenset[int | str]


def compare(text_a: str, text_b: str, *, image: Path | None, out: Path | None) -> None:
    """Print whether two formulas agree, and where they do not; draw it.

    Raises
    ------
    FocaLogicError
        If one is no formula, they are about different regions, or the picture cannot be made.
    """
    a, b = read_source(text_a), read_source(text_b)
    _check_regions(a, b)
    target = out or (None if image is None else Path("difference.png"))
    if target is not None and (a.focus is None or b.focus is None):
        raise InputError("a picture of the difference needs two explanations, not formulas")
    # a and (a and b) differ exactly where a holds and b does not.
    both = And(a.expression, b.expression)
    only_a, only_b = difference(a.expression, both), difference(b.expression, both)
    facts = {
        "A": f"{a.title}\n{to_text(a.expression)}",
        "B": f"{b.title}\n{to_text(b.expression)}",
        "Equivalent": "no" if only_a is not None or only_b is not None else "yes, that is proved",
        "A implies B": _implication(only_a, "A", "B"),
        "B implies A": _implication(only_b, "B", "A"),
    }
    focus = a.focus or b.focus
    for label, kept, other in (("Only A", only_a, "B"), ("Only B", only_b, "A")):
        if kept is not None:
            facts[label] = f"{_words(kept, focus)}: {label[-1]} holds, {other} does not"
    if only_a is not None or only_b is not None:
        facts["Region sets"] = _disagreement(a, b)
    if target is not None and a.focus is not None and b.focus is not None:
        _draw_differences(a.focus, b.focus, [only_a, only_b], image, target)
        facts["Written"] = str(target)
    print_facts(facts)


def draw(text: str, *, out: Path, graph: str, image: Path | None, pictures: bool, nodes: int) -> None:
    """Draw a formula, a search or a lattice.

    Raises
    ------
    FocaLogicError
        If it is no formula, there is nothing of the kind to draw, or it cannot be drawn.
    """
    source = read_source(text)
    drawn = _graph(source, graph, nodes)
    focus = source.focus
    pixels = None
    if focus is not None and pictures:
        pixels = read_image(image, focus)
    elif image is not None:
        raise InputError("--image shows the regions of an explanation: give its focus.json, without --no-pictures")
    drawing = to_graphviz(
        drawn,
        image=pixels,
        label_map=None if pixels is None or focus is None else focus.label_map,
        # A named region may share its name with another: with the symbol in front each is one of a kind.
        names={} if focus is None else {region: f"{symbol(region)} {name}" for region, name in focus.names.items()},
    )
    try:
        written = render(drawing, out)
    except OSError as error:
        raise CommandError(f"{out} cannot be written: {error}") from error
    print_facts({"Written": str(written)})


def _graph(source: Source, graph: str, nodes: int) -> Any:
    if graph == "formula":
        return to_networkx(source.expression)
    if source.focus is None:
        raise InputError(f"--graph {graph} is about the final states of an explanation; {source.title} is a formula")
    if graph == "refinement":
        return refinement_graph(source.focus, nodes)
    return final_state_lattice(source.focus.final_states, source.focus.region_ids, nodes)


def _check_regions(a: Source, b: Source) -> None:
    if a.focus is None or b.focus is None:
        return
    same = np.array_equal(a.focus.region_ids, b.focus.region_ids)
    if a.focus.label_map is not None and b.focus.label_map is not None:
        same = same and np.array_equal(a.focus.label_map, b.focus.label_map)
    if not same:
        raise InputError(
            f"{a.title} and {b.title} are about different regions; explain both with one label map (--mask)"
        )


def _implication(witness: Kept | None, one: str, other: str) -> str:
    return f"yes: what is enough for {one} is enough for {other}" if witness is None else "no"


def _words(kept: Kept, focus: Focus | None) -> str:
    """A region set in symbols and names, with its share of the picture."""
    if not kept:
        return "no region at all"
    numbers = sorted(number for number in kept if isinstance(number, int))
    others = sorted(str(name) for name in kept if not isinstance(name, int))
    names = {} if focus is None else focus.names
    called = [f"{symbol(number)} {names.get(number, '')}".rstrip() for number in numbers] + others
    if focus is None:
        return " & ".join(called)
    share = focus.areas[np.isin(focus.region_ids, numbers)].sum()
    return f"{' & '.join(called)} ({share:.1%} of the picture)"


def _disagreement(a: Source, b: Source) -> str:
    try:
        return f"the formulas disagree on {model_share(Xor(a.expression, b.expression)):.2%} of all"
    except InputError as error:
        return f"not counted: {error}"


def _draw_differences(
    focus_a: Focus, focus_b: Focus, witnesses: list[Kept | None], image: Path | None, out: Path
) -> None:
    pixels = read_image(image, focus_a)
    shown = [
        show_difference(focus_a, focus_b, pixels, regions=[int(region) for region in kept]).image
        for kept in witnesses
        if kept is not None
    ] or [show_difference(focus_a, focus_b, pixels).image]
    try:
        (shown[0] if len(shown) == 1 else contact_sheet(shown, columns=2, width=shown[0].width)).save(out)
    except (OSError, ValueError) as error:
        raise CommandError(f"{out} cannot be written: {error}") from error
