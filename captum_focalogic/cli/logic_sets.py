"""``focalogic logic necessary`` and ``rules``: what the formula cannot spare, and what a class's explanations share."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.errors import CommandError, reports_errors
from captum_focalogic.cli.output import print_lines
from captum_focalogic.errors import FileError, InputError
from captum_focalogic.files import read_json, write_text
from captum_focalogic.names import whole_number

if TYPE_CHECKING:
    from captum_focalogic.logic import RuleSet

_TABLES = (".md", ".csv", ".json")


@reports_errors
def necessary(
    focus: options.FocusFile,
    image: options.ImageFile = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="Put each set to this model; without it to the formula."),
    ] = None,
    weights: options.Weights = None,
    mean: options.Mean = None,
    std: options.Std = None,
    criterion: options.StoredCriterion = None,
    baseline: options.StoredBaseline = None,
    device: options.Device = "auto",
    batch: options.Batch = "auto",
    seed: options.Seed = 22,
    limit: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Most sets to find, the smallest first.")] = 1_000,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Say what the formula cannot spare: the smallest sets of regions without which no final state is whole.

    With --model, say too whether the model loses its prediction without them; give the image that the
    explanation is about.
    """
    from captum_focalogic.cli.formulas import read_focus
    from captum_focalogic.logic import necessary_states
    from captum_focalogic.tables import Column, Table

    if model is None and image is not None:
        raise CommandError("an image is of use only to a model: add --model, or leave the image out")
    stored = read_focus(focus)
    if model is None:
        states = necessary_states(stored.final_states, limit)
        notes = ["" for _ in states]
        said = f"{len(states):,} minimal set(s) defeat the formula; --model MODEL asks the model"
    else:
        from captum_focalogic.cli.session import open_stored, read_batch
        from captum_focalogic.confirmation import necessary as ask_model
        from captum_focalogic.verify import masked_model_of

        rows = read_batch(batch)
        judged_by = criterion or stored.provenance.criterion or "top1"
        opened = open_stored(
            stored,
            focus,
            image=image,
            model=model,
            weights=weights,
            mean=mean,
            std=std,
            baseline=baseline,
            criterion=judged_by,
            device=device,
            seed=seed,
        )
        with opened as session:
            masked = masked_model_of(
                stored,
                session.classifier.forward,
                session.inputs,
                baselines=session.baselines,
                feature_mask=session.feature_mask,
                criterion=judged_by,
                perturbations_per_eval=rows,
            )
            found = ask_model(stored, masked, limit)
        states, confirmed = found.states, found.confirmed
        notes = ["confirmed" if each else "NOT confirmed: the model keeps its prediction" for each in confirmed]
        said = f"{len(states):,} minimal set(s) defeat the formula; the model confirms {int(confirmed.sum()):,}"
    from captum_focalogic.summary import state_text

    columns = ("regions", "area", Column("the model", "left"))
    lines = [
        (state_text(stored, state), f"{stored.areas[state].sum():.1%} of the image", f" {note}")
        for state, note in zip(states, notes, strict=True)
    ]
    print_lines(
        {
            "Formula": stored.formula,
            "Necessary": said,
            "Without": Table(columns, lines).text(headed=False) if lines else "nothing defeats it",
        }
    )


@reports_errors
def rules(
    focuses: Annotated[
        list[Path], typer.Argument(metavar="FOCUS.json...", help="Explanations of images of one class.")
    ],
    names: Annotated[
        Path | None,
        typer.Option(
            "--names",
            metavar="NAMES.json",
            help='What regions are called: {"1": "wheel", ...} for all images alike, or {"FOCUS.json": {"1": ...}, '
            "...}. By default the explanations' own names.",
        ),
    ] = None,
    min_support: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Least share of the images that a rule explains.")
    ] = 0.0,
    min_confidence: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="The same among the images that have all of its names."),
    ] = 0.0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="The table too, as .md, .csv or .json.")
    ] = None,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Find the rules of a class: names of regions that together are enough, in which share of the images."""
    from captum_focalogic.cli.formulas import read_focus
    from captum_focalogic.logic import class_rules, to_text

    if out is not None and out.suffix.lower() not in _TABLES:
        raise CommandError(f"the table must end in {', '.join(_TABLES[:-1])} or {_TABLES[-1]}; got {out.name}")
    stored = [read_focus(path) for path in focuses]
    maps = None if names is None else read_names(names, focuses)
    if maps is None and not any(focus.names for focus in stored):
        raise InputError("no region of these explanations has a name; say what they are called with --names NAMES.json")
    found = class_rules(stored, maps, min_support, min_confidence)
    said = {
        "Explanations": f"{found.num_images:,}; the rules explain {found.coverage:.1%} of them",
        "Formula": to_text(found.expression),
        "Rules": found.to_table().text() if found.rules else "none",
    }
    if found.unnamed_images:
        said["Without names"] = f"{found.unnamed_images:,}: each of their final states has a region without a name"
    if out is not None:
        write_text(out, _written(found, out.suffix.lower()))
        said["Written"] = str(out)
    print_lines(said)


def _written(found: "RuleSet", ending: str) -> str:
    if ending == ".json":
        return json.dumps(found.to_rows(), ensure_ascii=False, indent=1) + "\n"
    return f"{found.to_table().markdown()}\n" if ending == ".md" else found.to_table().csv()


def read_names(path: Path, focuses: Sequence[Path]) -> list[Mapping[int, str]]:
    """One map of names for each focus."""
    try:
        stored = read_json(path)
    except FileError:
        raise
    except InputError as error:
        raise InputError(f"{path} is not JSON: {error.__cause__}") from error
    if not isinstance(stored, dict) or not stored:
        raise InputError(f'{path} must hold an object of names, {{"1": "wheel"}}, or one for each explanation')
    if not all(isinstance(value, dict) for value in stored.values()):
        return [_map(path, stored)] * len(focuses)
    return [_map(path, _of(path, stored, focus)) for focus in focuses]


def _of(path: Path, stored: dict[str, Any], focus: Path) -> Any:
    """The names of one explanation, which may be called by its path, its file or its folder."""
    for key in (str(focus), focus.name, focus.stem, focus.parent.name):
        if key in stored:
            return stored[key]
    raise InputError(f"{path} has no names for {focus}; expected the key {str(focus)!r}, {focus.stem!r} or its folder")


def _map(path: Path, given: Any) -> dict[int, str]:
    if not isinstance(given, dict):
        raise InputError(f"{path}: names must be an object of region ids and names; got {given!r}")
    names: dict[int, str] = {}
    for region, name in given.items():
        number = whole_number(region)
        if number is None or not isinstance(name, str):
            raise InputError(f"{path}: expected a region's id and its name as text; got {region[:40]!r}: {name!r}")
        names[number] = name
    return names
