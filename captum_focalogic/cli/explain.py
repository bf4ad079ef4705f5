"""``focalogic explain``: one decision as logic, pictures and a file."""

import shlex
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.errors import reports_errors, say
from captum_focalogic.cli.output import command_text, given, print_lines, state_text, write_labels
from captum_focalogic.cli.verify import verify
from captum_focalogic.files import make_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from captum_focalogic.cli.session import Session
    from captum_focalogic.focus import Focus

_MOST_LITERALS = 300
_TILE_NAME = "state-{:03d}.png"


@reports_errors
def explain(
    context: typer.Context,
    image: options.Picture = None,
    model: options.Model = "demo",
    weights: options.Weights = None,
    segmenter: options.Segmenter = None,
    mask: options.Mask = None,
    search: options.Search = "auto",
    reading: options.Reading = options.ReadingName.irreducible,
    criterion: options.Criterion = "top1",
    baseline: options.Baseline = "black",
    target: options.Target = None,
    device: options.Device = "auto",
    batch: options.Batch = "auto",
    max_evaluations: options.MaxEvaluations = 5_000,
    time_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Seconds after which the search ends.")
    ] = None,
    out: options.Out = Path("focalogic-out"),
    seed: options.Seed = 22,
    tiles: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Most final states to print and to draw a tile of.")
    ] = 100,
    colour_blind: options.ColourBlind = False,
    report: options.Report = False,
    progress: options.Progress = True,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Say in logic why a model decides as it does.

    Without arguments, explains the embedded model on an embedded scene, whose true reason is known.

    Writes to --out: overlay.png (red: regions that every final state keeps; white: those that some keep), regions.png,
    tiles/ (one picture a final state), formula.svg, labels.png (the regions, for --mask) and focus.json.

    MODEL is one of: demo, the embedded network; torchvision:NAME, such as torchvision:resnet18; cascade:face, a face
    detector that is no neural network; PATH/MODULE.py:NAME, where NAME is an nn.Module, or a function of images
    (N, 3, H, W) in [0, 1], or a function or class that needs no argument and returns one of these. The module may
    define preprocess(picture), which returns the image (3, H, W) in [0, 1] that the model sees, and labels, a list of
    class names or a function that returns it.
    """
    from dataclasses import replace

    from captum_focalogic.attributor import FocaLogic
    from captum_focalogic.cli.session import choose_segmenter, open_session, read_batch

    rows = read_batch(batch)
    cut = choose_segmenter(segmenter, mask)
    folder = make_folder(out)
    opened = open_session(
        image=image,
        model=model,
        weights=weights,
        segmenter=cut,
        mask=mask,
        baseline=baseline,
        criterion=criterion,
        device=device,
        seed=seed,
    )
    with opened as session:
        answer = session.predict()
        explainer = FocaLogic(
            session.model.forward,
            search=search,
            reading=reading.value,
            criterion=criterion,
            max_evaluations=max_evaluations or None,
            time_limit=time_limit,
        )
        (focus,) = explainer.explain(
            session.inputs,
            baselines=session.baselines,
            target=target,
            feature_mask=session.feature_mask,
            perturbations_per_eval=rows,
            show_progress=progress,
        )
    focus = replace(focus, names=session.names)
    print_focus(session, focus, answer, tiles)
    written = write_all(folder, session, focus, most_tiles=tiles, colour_blind=colour_blind)
    if report:
        from captum_focalogic.cli.report import entry_of
        from captum_focalogic.report.page import write_report

        entry = entry_of(session, focus, command_text(context), baseline)
        written.append(write_report(folder / "report.html", [entry]).name)
    check = ["focalogic", "verify", str(folder / "focus.json"), *given(context, signature(verify).parameters)]
    print_lines({"Written": ", ".join(written), "Check": shlex.join(check)})


def print_focus(session: "Session", focus: "Focus", answer: "Tensor", most_states: int) -> None:
    """Prediction, formula, final states (smallest first) and certificate."""
    height, width = session.label_map.shape
    said = {
        "Picture": f"{session.image.title}, {width}x{height} as the model sees it",
        "Model": f"{session.model.name} on {session.device}",
        "Prediction": session.describe(answer),
    }
    if focus.target is not None and answer.dim() == 1 and answer.numel() > 1 and focus.target != int(answer.argmax()):
        said["Explained"] = session.class_text(focus.target)
    said["Regions"] = _regions(focus)
    said["Formula"] = focus.formula
    if session.image.scene is not None and focus.names:
        said["Known rule"] = _rule(session, focus)
    said["Final states"] = _states(focus, most_states)
    said["Certificate"] = str(focus.certificate)
    print_lines(said)


def _regions(focus: "Focus") -> str:
    from captum_focalogic.logic import symbol

    if not focus.names:
        return str(focus.num_regions)
    named = ", ".join(f"{symbol(region)} {name}" for region, name in sorted(focus.names.items()))
    others = focus.num_regions - len(focus.names)
    return f"{focus.num_regions}: {named}" + (f"; the other {others} are background" if others else "")


def _rule(session: "Session", focus: "Focus") -> str:
    from captum_focalogic.logic import difference, symbol

    scene = session.image.scene
    if scene is None or not isinstance(focus.target, int):
        return "not compared"
    rule = scene.rule_of(focus.target)
    apart = difference(focus.expression, rule)
    if apart is None:
        return f"{rule}: the formula is equivalent to it"
    kept = " & ".join(str(symbol(int(region))) for region in sorted(apart, key=int)) or "no region"
    return f"{rule}: the formula DIFFERS, for instance on {kept}"


def _states(focus: "Focus", most: int) -> str:
    count = len(focus.final_states)
    if not count:
        return f"none ({focus.reading})"
    sizes = focus.final_states.sum(axis=1)
    smallest = int((sizes == sizes.min()).sum())
    least = "the empty one" if not sizes.min() else f"the smallest, of {int(sizes.min())} region(s)"
    lines = [f"{count} {focus.reading}; {least}:"]
    captions = [f"  {state_caption(focus, row)}" for row in range(min(count, most))]
    lines.extend(captions[:smallest])
    if count > smallest and len(captions) > smallest:
        lines.append(f"and the rest, of up to {int(sizes.max())} regions:")
        lines.extend(captions[smallest:])
    if count > len(captions):
        lines.append(f"  ... and {count - len(captions):,} more, all in focus.json")
    return "\n".join(lines)


def state_caption(focus: "Focus", row: int) -> str:
    """A final state's regions, their share of the picture, and how sure the model is of it."""
    import numpy as np

    state = focus.final_states[row]
    text = f"{state_text(focus, state)}   {focus.areas[state].sum():.1%} of the picture"
    score = scores_of(focus)[row]
    # Criteria on a raw score rank by that, which is no probability and may have any sign.
    return text if np.isnan(score) or not 0 <= score <= 1 else f"{text}, probability {score:.3f}"


def scores_of(focus: "Focus") -> "NDArray[np.float32]":
    """What the model's score was on each final state, (S,); NaN where there is none."""
    import numpy as np

    from captum_focalogic.search import states as st
    from captum_focalogic.search.record import Record

    record = Record(focus.num_regions)
    record.add(focus.evaluated.packed, focus.evaluated.valid, focus.evaluated.score)
    rows = record.find(st.pack(focus.final_states))
    return np.where(rows < 0, np.float32(np.nan), record.score(np.maximum(rows, 0)))


def write_all(folder: Path, session: "Session", focus: "Focus", *, most_tiles: int, colour_blind: bool) -> list[str]:
    """Write pictures, formula and focus; returns what was written, for people to read."""
    from captum_focalogic.figures.overlays import COLOUR_BLIND, PAPER, overlay, regions_image, tile
    from captum_focalogic.images import write_image

    image = session.image.pixels.numpy()
    palette = COLOUR_BLIND if colour_blind else PAPER
    seen = (image, session.label_map, focus.region_ids, focus.final_states)
    write_image(folder / "overlay.png", overlay(*seen, palette=palette))
    write_image(folder / "regions.png", regions_image(image, session.label_map, names=focus.names))
    written = [f"{folder / 'overlay.png'}", "regions.png"]
    tiles = make_folder(folder / "tiles")
    for stale in tiles.glob("state-*.png"):
        stale.unlink()
    count = min(most_tiles, len(focus.final_states))
    for row in range(count):
        picture = tile(*seen, row, palette=palette, caption=state_caption(focus, row))
        write_image(tiles / _TILE_NAME.format(row + 1), picture)
    if count:
        written.append(f"tiles/ ({count} of {len(focus.final_states)})")
    if write_labels(folder / "labels.png", session.label_map):
        written.append("labels.png")
    written.append(write_formula(folder, session, focus))
    focus.save(folder / "focus.json")
    written.append("focus.json")
    return written


def write_formula(folder: Path, session: "Session", focus: "Focus") -> str:
    """Draw the formula as formula.svg; as formula.dot, with a word about it, where nothing can draw.

    Returns the name of what was written.
    """
    from captum_focalogic.errors import NoEngineError, RenderError
    from captum_focalogic.figures.graphs import illustrated
    from captum_focalogic.logic import count_literals, render, symbol, to_networkx

    for stale in ("formula.svg", "formula.dot"):
        (folder / stale).unlink(missing_ok=True)
    literals = count_literals(focus.expression)
    # A named region may share its name with another: with the symbol in front each is one of a kind.
    names = {region: f"{symbol(region)} {name}" for region, name in focus.names.items()}
    drawing = illustrated(
        to_networkx(focus.expression),
        image=session.image.pixels,
        label_map=session.label_map,
        names=names,
    )
    if literals > _MOST_LITERALS:
        say(f"note: the formula has {literals} literals, too many for a drawing to be of use; see formula.dot")
        return render(drawing, folder / "formula.dot").name
    try:
        return render(drawing, folder / "formula.svg").name
    except (NoEngineError, RenderError) as error:
        say(f"note: the formula could not be drawn: {error}")
        return "formula.dot"
