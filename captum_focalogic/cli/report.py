"""``focalogic report``: stored explanations as one interactive page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.errors import CommandError, reports_errors, say
from captum_focalogic.cli.output import print_lines
from captum_focalogic.errors import InputError
from captum_focalogic.files import read_json, read_lines

if TYPE_CHECKING:
    from captum_focalogic.focus import Focus
    from captum_focalogic.ground_truth import GroundTruth
    from captum_focalogic.report.page import Entry
    from captum_focalogic.session import Session


@reports_errors
def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that explain wrote to, or one of several, or a focus.json.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="The page; report.html in DIR by default.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="The page's title.")] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Class names, one a line.")] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Masks of the objects (white), of the size the model sees, named like the explanations: NAME.png for "
            "NAME/focus.json or NAME.json.",
        ),
    ] = None,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Show stored explanations in one HTML file that needs no network and can be sent to anybody.

    Hover over a symbol to see its region; switch regions off to see what the formula and the model make of the rest.
    """
    from captum_focalogic.report.page import write_report

    names = None if labels is None else read_lines(labels, "the labels")
    entries = [_stored_entry(path, focus, names, truth) for path, focus in _stored(folder)]
    target = out or (folder if folder.is_dir() else folder.parent) / "report.html"
    write_report(target, entries, title)
    print_lines(
        {
            "Explanations": str(len(entries)),
            "Written": f"{target} ({target.stat().st_size / 1e6:.1f} MB)",
        }
    )


def _stored(folder: Path) -> "list[tuple[Path, Focus]]":
    from captum_focalogic.focus import Focus

    if not folder.exists():
        raise CommandError(f"there is no folder or file {folder}")
    paths = sorted(folder.rglob("*.json")) if folder.is_dir() else [folder]
    found = []
    for path in paths:
        try:
            found.append((path, Focus.load(path)))
        except InputError:
            if not folder.is_dir() or _claims_to_be_a_focus(path):
                raise
            say(f"note: {path} is left out, it is no explanation")
    if not found:
        raise CommandError(f"there is no explanation in {folder}; focalogic explain --out {folder} writes one")
    return found


def _claims_to_be_a_focus(path: Path) -> bool:
    """A damaged explanation must not be passed over as if it were something else."""
    try:
        fields = read_json(path)
    except InputError:
        return path.name == "focus.json"
    return isinstance(fields, dict) and str(fields.get("format", "")).startswith("captum-focalogic/focus")


def _stored_entry(path: Path, focus: "Focus", names: list[str] | None, truth: Path | None) -> "Entry":
    from captum_focalogic.report.page import Entry

    name = path.parent.name if path.name == "focus.json" else path.stem
    target = focus.target
    label = None
    if names is not None and isinstance(target, int):
        if not 0 <= target < len(names):
            raise CommandError(f"{path} explains class {target}, but --labels names only {len(names)} classes")
        label = names[target]
    return Entry(
        focus,
        title=name or "One decision",
        label=label,
        truth=None if truth is None else _mask(truth / f"{name}.png", focus),
    )


def _mask(path: Path, focus: "Focus") -> "GroundTruth | None":
    from captum_focalogic.ground_truth import read_mask

    if not path.is_file():
        say(f"note: there is no mask {path}")
        return None
    if focus.label_map is None:
        raise CommandError(f"the mask {path} is of no use: the explanation has no label map")
    return read_mask(path).of_size((focus.label_map.shape[0], focus.label_map.shape[1]), f"the mask {path}")


def entry_of(session: "Session", focus: "Focus", command: str, against: str | None = None) -> "Entry":
    """What a command explained, for a report; with the truth where the image is an embedded scene."""
    from captum_focalogic.report.page import Entry
    from captum_focalogic.summary import removal_setting

    removed = removal_setting(focus.provenance.removal, session.baseline)
    scene, target = session.image.scene, focus.target
    wanted = scene is not None and isinstance(target, int) and target > 0
    return Entry(
        focus,
        session.image.pixels.numpy(),
        title=session.image.title,
        label=session.classifier.label_of(target) if isinstance(target, int) else None,
        truth=scene.truth(target) if scene is not None and wanted and isinstance(target, int) else None,
        command=command,
        against=against,
        settings={"Model": session.classifier.name, "Device": str(session.device), **removed},
    )
