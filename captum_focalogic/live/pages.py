"""The live page: the report's own template and script, with choices, progress and what can be saved."""

import io
import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from captum_focalogic.figures.headline import evidence_image
from captum_focalogic.images import labels_image
from captum_focalogic.live.cases import Case, Choices, Progress, Settings
from captum_focalogic.logic import difference, to_graphviz, to_networkx
from captum_focalogic.logic.formats import FORMATS
from captum_focalogic.report.html import data_uri, render_page
from captum_focalogic.report.page import Entry, render_entries
from captum_focalogic.search import READINGS
from captum_focalogic.search.certificate import percent

STATES = {
    "searching": "The model is being asked; every selection below is put to it at once.",
    "done": "The search has ended; every selection below is put to the model.",
    "stopped": "The search was stopped: this is what was found until then.",
    "failed": "The search ended with an error.",
}

FOCUS, LABELS = "focus.json", "labels.png"
"""Files of a case that what reproduces it reads."""

_CHOICES = {
    "model": "Model",
    "segmenter": "Regions",
    "baseline": "Dropped regions become",
    "removal": "Removal",
}


@dataclass(frozen=True)
class _Choice:
    label: str
    name: str
    values: list[str]
    now: str


@dataclass(frozen=True)
class _Saves:
    model: str
    here: str
    names: list[str]
    command: str | None
    python: str
    by_name: bool


@dataclass(frozen=True)
class _Difference:
    said: str
    image: Markup | None
    lines: list[str]


@dataclass(frozen=True)
class _Live:
    """What the template shows beside the entries."""

    here: str
    case: bool
    state: str
    status: str
    warnings: list[str]
    settings: Settings
    choices: list[_Choice]
    readings: tuple[str, ...]
    classes: list[str]
    others: list[str]
    saves: list[_Saves]
    difference: _Difference | None


def start_page(here: str, choices: Choices, settings: Settings) -> str:
    """The page before there is an image."""
    live = _live(here, choices, settings, None, {})
    return render_entries("Why did the model say that?", [], live)


def sentence_page(said: str, first: str) -> str:
    """What is said in place of a page, and where to begin again."""
    return render_page("sentence", said=said, first=first)


def case_page(addresses: dict[str, str], choices: Choices, case: Case) -> str:
    """The page of a case; ``addresses`` says where each case that is shown is found."""
    # Where the search is comes first: an answer is there before its search is called done.
    live = _live(addresses[case.key], choices, case.settings, case, addresses)
    entries = [entry_of(one, addresses[one.key]) for one in case.shown]
    return render_entries(case.session.image.title, entries, live)


def static_page(case: Case) -> str:
    """The same as one file that needs no server."""
    return render_entries(case.session.image.title, [entry_of(case, None)])


def entry_of(case: Case, address: str | None) -> Entry:
    """A case as an entry of a report; with an address, its selections are asked there."""
    focus = case.answer.focus
    return Entry(
        focus,
        title=case.model_name if address is not None else case.session.image.title,
        label=focus.target_name,
        against=case.answer.against,
        command=command_of(case),
        alive=command_of(case, "serve"),
        settings={"Model": case.model_name, "Device": str(case.session.device)},
        asks=address,
        pending=address is not None and case.state == "searching",
    )


def status_of(case: Case) -> str:
    """Where the search is, in words."""
    return f"{STATES[case.state]} {case.message}".strip()


def _warnings_of(case: Case, several: bool) -> list[str]:
    return [f"{case.model_name}: {said}" if several else said for said in case.warnings]


def progress_text(progress: Progress) -> str:
    """The same while it goes on, with the best set that was seen."""
    if progress.best is None or progress.state != "searching":
        return STATES[progress.state]
    likely = "" if progress.probability is None else f", probability {progress.probability:.2f}"
    regions = f"{progress.regions} region{'' if progress.regions == 1 else 's'}"
    return f"{progress.asked:,} asked. Enough so far: {regions}, {percent(progress.share)} of the image{likely}."


def command_of(case: Case, command: str = "explain") -> str | None:
    """The command line that finds the same, or opens it alive; None where the image or the model has no name there.

    Regions without a name are those of the labels that can be saved; nothing is opened alive in them.
    """
    named, changed = "segmenter" in case.by_name, _changed(case.settings)
    if case.picture.file is None or "model" not in case.by_name or not (named or command == "explain"):
        return None
    # What begins with a dash would be taken for an option.
    file = f"./{case.picture.file}" if case.picture.file.startswith("-") else case.picture.file
    words = ["focalogic", command, file, "--model", case.settings.model]
    if not named:
        changed.pop("segmenter", None)
        words += ["--mask", LABELS]
    for name, value in changed.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def python_of(case: Case) -> str:
    """The lines of Python that find the same; a model and an image without a name there are called so."""
    changed = {name: repr(value) for name, value in _changed(case.settings).items()}
    taken = "explain_image"
    if "segmenter" not in case.by_name:
        taken, changed["segmenter"] = "Focus, explain_image", f"Focus.load({FOCUS!r}).label_map"
    model = repr(case.settings.model) if "model" in case.by_name else "model"
    image = "image" if case.picture.file is None else repr(case.picture.file)
    given = ", ".join([model, image, *(f"{name}={value}" for name, value in changed.items())])
    return f"from captum_focalogic import {taken}\n\nprint(explain_image({given}))"


def _changed(settings: Settings) -> dict[str, Any]:
    """Settings that are not what explain takes unless told otherwise."""
    usual = Settings(settings.model)
    return {
        field.name: getattr(settings, field.name)
        for field in fields(settings)
        if field.name != "model" and getattr(settings, field.name) != getattr(usual, field.name)
    }


# ---- what can be saved


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


SAVED: dict[str, tuple[str, Callable[[Case], bytes]]] = {
    "report.html": ("text/html", lambda case: static_page(case).encode("utf-8")),
    FOCUS: ("application/json", lambda case: case.answer.focus.to_json().encode("utf-8")),
    "headline.png": ("image/png", lambda case: _png(case.answer.headline())),
    LABELS: ("image/png", lambda case: _png(labels_image(case.session.label_map))),
    "overlay.png": ("image/png", lambda case: _png(case.answer.overlay())),
    "formula.dot": ("text/plain", lambda case: to_graphviz(to_networkx(case.answer.focus.expression)).source.encode()),
}
"""Files of a case: their types, and what makes them."""


def _formula(name: str) -> Callable[[Case], bytes]:
    return lambda case: FORMATS[name].write(case.answer.focus.expression).encode("utf-8")


SAVED |= {f"formula{one.suffixes[0]}": ("text/plain", _formula(name)) for name, one in FORMATS.items()}


# ---- what the template shows


def _live(here: str, choices: Choices, settings: Settings, case: Case | None, addresses: dict[str, str]) -> _Live:
    offered: dict[str, list[str]] = {
        "model": list(choices.models),
        "segmenter": list(choices.segmenters),
        "baseline": list(choices.baselines),
        "removal": list(choices.removals),
    }
    shown = [
        _Choice(_CHOICES[name], name, values, getattr(settings, name))
        for name, values in offered.items()
        if len(values) > 1 or name == "model"
    ]
    found = [] if case is None else case.shown
    prediction = None if case is None else case.answer.prediction
    return _Live(
        here=here,
        case=case is not None,
        state=_state(found) if found else "start",
        status="" if case is None else status_of(case),
        warnings=[said for one in found for said in _warnings_of(one, len(found) > 1)],
        settings=settings,
        choices=shown,
        readings=READINGS,
        classes=[] if prediction is None else [name for _, name, _ in prediction.top if name],
        others=[name for name in choices.models if name != settings.model],
        saves=[
            _Saves(
                one.model_name,
                addresses[one.key],
                list(SAVED),
                command_of(one),
                python_of(one),
                "segmenter" in one.by_name,
            )
            for one in found
            if one.state in ("done", "stopped")
        ],
        difference=_difference(*found) if len(found) == 2 and _state(found) == "done" else None,
    )


def _state(cases: list[Case]) -> str:
    states = {case.state for case in cases}
    return next((state for state in ("searching", "failed", "stopped") if state in states), "done")


def _difference(case: Case, other: Case) -> _Difference:
    """Where the formulas of two models part, as a picture, with what each model itself says there."""
    if not np.array_equal(case.answer.focus.region_ids, other.answer.focus.region_ids):
        return _Difference(
            "The models see the image in other sizes, so that not every region has a counterpart.", None, []
        )
    one, two = case.answer.focus, other.answer.focus
    apart = difference(one.expression, two.expression)
    if apart is None:
        return _Difference("They are equivalent: they hold for exactly the same region sets.", None, [])
    kept = np.isin(one.region_ids, [int(region) for region in apart])
    holds = bool((one.final_states <= kept).all(axis=1).any())
    names = (case.model_name, other.model_name)
    first, second = names if holds else names[::-1]
    named = " and ".join(str(region) for region in one.region_ids[kept].tolist()) or "no region"
    alone = "is" if kept.sum() < 2 else "are"
    said = f"They differ, for instance where {named} alone {alone} kept: the formula of {first} holds there"
    image = None
    if one.image is not None and one.label_map is not None:
        image = Markup(data_uri(evidence_image(one.image, one.label_map, one.region_ids, kept)))
    lines = [f"{each.model_name} itself {_itself(each, kept.tolist())}" for each in (case, other)]
    return _Difference(f"{said}, and that of {second} does not.", image, lines)


def _itself(case: Case, kept: list[bool]) -> str:
    """What a model says there, in words."""
    (answer,) = case.ask([kept])
    shares = [("" if one["share"] is None else f" {one['share']:.2f}") for one in answer["top"]]
    top = ", ".join(f"{one['name']}{share}" for one, share in zip(answer["top"], shares, strict=True))
    return f"{'keeps' if answer['valid'] else 'loses'} its decision{f': {top}' if top else ''}"
