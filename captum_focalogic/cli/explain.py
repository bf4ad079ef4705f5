"""``focalogic explain``: one decision as logic, images and a file."""

import shlex
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.allocator import uncollected_imports
from captum_focalogic.cli.errors import reports_errors, say
from captum_focalogic.cli.options import USUAL_MODEL
from captum_focalogic.cli.output import command_text, given, print_lines, write_labels
from captum_focalogic.cli.serve import serve
from captum_focalogic.cli.verify import verify
from captum_focalogic.files import make_folder

if TYPE_CHECKING:
    from captum_focalogic.answer import Answer
    from captum_focalogic.session import Session

_MOST_LITERALS = 300
_TILES = 100
_ELSEWHERE = frozenset(("weights", "mean", "std", "mask", "search", "time_limit"))
"""What explain takes and the live page does not."""
_TILE_NAME = "state-{:03d}.png"
_WRITTEN = (
    "headline.png",
    "overlay.png",
    "regions.png",
    "labels.png",
    "formula.svg",
    "formula.dot",
    "focus.json",
    "report.html",
)


@reports_errors
def explain(
    context: typer.Context,
    image: options.ImageFile = None,
    model: options.Model = USUAL_MODEL,
    weights: options.Weights = None,
    mean: options.Mean = None,
    std: options.Std = None,
    segmenter: options.Segmenter = None,
    mask: options.Mask = None,
    search: options.Search = "auto",
    reading: options.Reading = options.USUAL_READING,
    criterion: options.Criterion = options.USUAL_CRITERION,
    baseline: options.Baseline = options.USUAL_BASELINE,
    removal: options.Removal = options.RemovalName.fill,
    target: options.Target = None,
    against: options.Against = None,
    zoom: options.Zoom = 0,
    device: options.Device = "auto",
    batch: options.Batch = "auto",
    max_evaluations: options.MaxEvaluations = options.USUAL_EVALUATIONS,
    time_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Seconds after which the search ends.")
    ] = None,
    out: options.Out = Path("focalogic-out"),
    seed: options.Seed = 22,
    tiles: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Most final states to print and to draw a tile of.")
    ] = _TILES,
    colour_blind: options.ColourBlind = False,
    report: options.Report = False,
    everything: options.Everything = False,
    progress: options.Progress = True,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Say in logic why a model decides as it does.

    Without arguments, explains a real network on a photograph of a cat; focalogic demo explains an embedded scene,
    whose true reason is known.

    Writes to --out: headline.png (what is enough in its own colours, others, and what the model says without some),
    overlay.png (red: regions that every final state keeps; white: those that some keep), regions.png, tiles/ (one image
    a final state), formula.svg, labels.png (the regions, for --mask) and focus.json; what an earlier run wrote there
    is removed.

    MODEL is one of: efficientnet-lite0, a classifier of ImageNet's 1,000 classes (with the extra imagenet); demo, the
    embedded network; torchvision:NAME, such as torchvision:resnet18; cascade:face, a face
    detector that is no neural network; PATH/MODULE.py:NAME, where NAME is an nn.Module, or a function of images
    (N, 3, H, W) in [0, 1], or a function or class that needs no argument and returns one of these. The module may
    define preprocess(image), which returns the image (3, H, W) in [0, 1] that the model sees, and labels, a list of
    class names or a function that returns it.
    """
    with uncollected_imports():
        import captum_focalogic.answer  # noqa: F401 (for what follows)
        from captum_focalogic.cli.session import choose_segmenter, open_session, read_batch, read_class

    rows = read_batch(batch)
    cut = choose_segmenter(segmenter, mask)
    folder = make_folder(out)
    opened = open_session(
        image=image,
        model=model,
        weights=weights,
        mean=mean,
        std=std,
        segmenter=cut,
        mask=mask,
        baseline=baseline,
        criterion=criterion,
        device=device,
        seed=seed,
    )
    with opened as session:
        answer = _answer(
            session,
            search=search,
            reading=reading.value,
            removal=removal.value,
            criterion=criterion,
            target=read_class(target, session.classifier, "--target"),
            against=read_class(against, session.classifier, "--against"),
            zoom=zoom,
            max_evaluations=max_evaluations or None,
            time_limit=time_limit,
            perturbations_per_eval=rows,
            show_progress=progress,
        )
    _tell(session, answer, everything, tiles)
    page = command_text(context) if report else None
    _write(
        session, answer, folder, tiles=tiles, colour_blind=colour_blind, command=page, alive=_alive_text(context, image)
    )
    if everything:
        check = ["focalogic", "verify", str(folder / "focus.json"), *given(context, signature(verify).parameters)]
        print_lines({"Check": shlex.join(check)})
    else:
        print_lines({"More": _more_text(answer, max_evaluations)})


@reports_errors
def demo(
    context: typer.Context,
    seed: options.Seed = 22,
    out: options.Out = Path("focalogic-out"),
    report: options.Report = False,
    everything: options.Everything = False,
    progress: options.Progress = True,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Explain the embedded model on an embedded scene: the answer whose true reason is known.

    The same as explain --model demo, which takes further options.
    """
    with uncollected_imports():
        from captum_focalogic.cli.session import open_session
        from captum_focalogic.session import BASELINE, CRITERION

    folder = make_folder(out)
    opened = open_session(
        image=None, model="demo", weights=None, baseline=BASELINE, criterion=CRITERION, device="auto", seed=seed
    )
    with opened as session:
        answer = _answer(session, show_progress=progress)
    _tell(session, answer, everything, _TILES)
    _write(session, answer, folder, tiles=_TILES, colour_blind=False, command=command_text(context) if report else None)
    further = "focalogic explain --model demo takes further options"
    print_lines({"More": further if everything else f"--all prints everything; {further}"})


def _alive_text(context: typer.Context, image: Path | None) -> str | None:
    """The command line that opens the same alive; None where that takes what the live page does not."""
    if image is None or given(context, _ELSEWHERE) or not context.params["max_evaluations"]:
        return None
    return shlex.join(["focalogic", "serve", *given(context, signature(serve).parameters)])


def _answer(session: "Session", **how: Any) -> "Answer":
    from captum_focalogic.answer import explain_sessions
    from captum_focalogic.errors import SearchInterrupt

    try:
        (answer,) = explain_sessions([session], **how)
    except SearchInterrupt as interrupt:
        # Who interrupts at the terminal wants to see what there is.
        (answer,) = interrupt.found
    return answer


def _tell(session: "Session", answer: "Answer", everything: bool, tiles: int) -> None:
    """Print what was found, in short or all of it."""
    print_lines({**(_everything(answer, tiles) if everything else answer.summary()), **_known_rule(session, answer)})


def _write(
    session: "Session",
    answer: "Answer",
    folder: Path,
    *,
    tiles: int,
    colour_blind: bool,
    command: str | None,
    alive: str | None = None,
) -> None:
    """Write the files, and the page where there is a command to put on it; say which."""
    clear_files(folder)
    written = write_files(folder, answer, most_tiles=tiles, colour_blind=colour_blind)
    if command is not None:
        from captum_focalogic.cli.report import entry_of
        from captum_focalogic.report.page import write_report

        entry = replace(entry_of(session, answer.focus, command, answer.against), alive=alive)
        written.append(write_report(folder / "report.html", [entry]).name)
    print_lines({"Files": ", ".join(written)})


def _everything(answer: "Answer", most_states: int) -> dict[str, str]:
    """All there is to say: the short answer, and every line of the long one."""
    long = answer.lines(most_states)
    certificate = long.pop("Certificate")
    short = {label: text for label, text in answer.summary().items() if label != "Certificate"}
    return {**short, **long, "Certificate": certificate}


def _more_text(answer: "Answer", max_evaluations: int) -> str:
    """How to see more, and how to ask on where there is something left to ask."""
    shown = "--all prints all states, the whole certificate and a command that checks them"
    done = answer.focus.certificate.complete == "yes" and answer.critical is not None and answer.trust is not None
    further = max(5_000, 5 * max_evaluations)
    return shown if done or not max_evaluations else f"{shown}; --max-evaluations {further} asks on"


def _known_rule(session: "Session", answer: "Answer") -> dict[str, str]:
    """The rule by which an embedded scene was drawn, and whether the formula is it."""
    from captum_focalogic.logic import difference, symbol

    scene, focus = session.image.scene, answer.focus
    if scene is None or not focus.names or not isinstance(focus.target, int):
        return {}
    rule = scene.rule_of(focus.target)
    apart = difference(focus.expression, rule)
    if apart is None:
        return {"Known rule": f"{rule}: the formula is equivalent to it"}
    kept = " & ".join(str(symbol(int(region))) for region in sorted(apart, key=int)) or "no region"
    return {"Known rule": f"{rule}: the formula DIFFERS, for instance on {kept}"}


def clear_files(folder: Path) -> None:
    """Remove what an earlier run wrote, pages included, so that nothing of it stands beside what is new."""
    for name in _WRITTEN:
        (folder / name).unlink(missing_ok=True)
    for tile in (folder / "tiles").glob("state-*.png"):
        tile.unlink()


def write_files(folder: Path, answer: "Answer", *, most_tiles: int, colour_blind: bool) -> list[str]:
    """Write images, formula and focus; returns what was written, for people to read."""
    from captum_focalogic.figures.overlays import COLOUR_BLIND, PAPER, regions_image, tile
    from captum_focalogic.images import write_image
    from captum_focalogic.summary import state_captions

    focus = answer.focus
    if focus.image is None or focus.label_map is None:
        return []
    write_image(folder / "headline.png", answer.headline())
    write_image(folder / "overlay.png", answer.overlay(colour_blind=colour_blind))
    write_image(folder / "regions.png", regions_image(focus.image, focus.label_map, names=focus.names))
    written = [f"{folder / 'headline.png'}", "overlay.png", "regions.png"]
    tiles = make_folder(folder / "tiles")
    captions = state_captions(focus, most_tiles)
    palette = COLOUR_BLIND if colour_blind else PAPER
    for row, caption in enumerate(captions):
        shown = (focus.image, focus.label_map, focus.region_ids, focus.final_states, row)
        write_image(tiles / _TILE_NAME.format(row + 1), tile(*shown, palette=palette, caption=caption))
    if captions:
        written.append(f"tiles/ ({len(captions)} of {len(focus.final_states)})")
    if write_labels(folder / "labels.png", focus.label_map):
        written.append("labels.png")
    written.append(write_formula(folder, answer))
    answer.save(folder / "focus.json")
    return [*written, "focus.json"]


def write_formula(folder: Path, answer: "Answer") -> str:
    """Draw the formula as formula.svg; as formula.dot, with a word about it, where nothing can draw.

    Returns the name of what was written.
    """
    from captum_focalogic.errors import NoEngineError, RenderError
    from captum_focalogic.figures.graphs import illustrated
    from captum_focalogic.logic import count_literals, render, symbol, to_networkx

    focus = answer.focus
    literals = count_literals(focus.expression)
    # A named region may share its name with another: with the symbol in front each is one of a kind.
    names = {region: f"{symbol(region)} {name}" for region, name in focus.names.items()}
    drawing = illustrated(to_networkx(focus.expression), image=focus.image, label_map=focus.label_map, names=names)
    if literals > _MOST_LITERALS:
        say(f"note: the formula has {literals} literals, too many for a drawing to be of use; see formula.dot")
        return render(drawing, folder / "formula.dot").name
    try:
        return render(drawing, folder / "formula.svg").name
    except (NoEngineError, RenderError) as error:
        say(f"note: the formula could not be drawn: {error}")
        return "formula.dot"
