"""What ``focalogic report`` does, and the option ``--report`` of other commands."""

import inspect
import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from captum_focalogic.cli.failing import CommandError, say
from captum_focalogic.cli.printing import print_facts
from captum_focalogic.cli.setting import Setting
from captum_focalogic.errors import InputError
from captum_focalogic.focus import Focus
from captum_focalogic.ground_truth import GroundTruth, read_mask
from captum_focalogic.report.html import Entry, write_report


def write_page(folder: Path, *, out: Path | None, title: str | None, labels: Path | None, truth: Path | None) -> None:
    """Find stored explanations, write the page, say where it is.

    Raises
    ------
    FocaLogicError
        If there is none, or an option names something that does not exist or does not fit.
    """
    names = None if labels is None else labels.read_text(encoding="utf-8").splitlines()
    entries = [_entry(path, focus, names, truth) for path, focus in _stored(folder)]
    target = out or (folder if folder.is_dir() else folder.parent) / "report.html"
    write_report(target, entries, title)
    print_facts(
        {
            "Explanations": str(len(entries)),
            "Written": f"{target} ({target.stat().st_size / 1e6:.1f} MB)",
        }
    )


def _stored(folder: Path) -> list[tuple[Path, Focus]]:
    if not folder.exists():
        raise CommandError(f"there is no folder or file {folder}")
    paths = sorted(folder.rglob("*.json")) if folder.is_dir() else [folder]
    found = []
    for path in paths:
        try:
            found.append((path, Focus.load(path)))
        except InputError as error:
            if not folder.is_dir() or _claims_to_be_a_focus(path):
                raise InputError(f"{path}: {error}") from error
            say(f"note: {path} is left out, it is no explanation")
    if not found:
        raise CommandError(f"there is no explanation in {folder}; focalogic explain --out {folder} writes one")
    return found


def _claims_to_be_a_focus(path: Path) -> bool:
    """A damaged explanation must not be passed over as if it were something else."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return path.name == "focus.json"
    return isinstance(fields, dict) and str(fields.get("format", "")).startswith("captum-focalogic/focus")


def _entry(path: Path, focus: Focus, names: list[str] | None, truth: Path | None) -> Entry:
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


def _mask(path: Path, focus: Focus) -> GroundTruth | None:
    if not path.is_file():
        say(f"note: there is no mask {path}")
        return None
    if focus.label_map is None:
        raise CommandError(f"the mask {path} is of no use: the explanation has no label map")
    return read_mask(path).of_size((focus.label_map.shape[0], focus.label_map.shape[1]), f"the mask {path}")


def entry_of(setting: Setting, focus: Focus, command: str, baseline: str) -> Entry:
    """What a command explained, for a report; with the truth where the picture is an embedded scene."""
    scene, target = setting.subject.scene, focus.target
    wanted = scene is not None and isinstance(target, int) and target > 0
    return Entry(
        focus,
        setting.subject.image.numpy(),
        title=setting.subject.title,
        label=setting.model.label_of(target) if isinstance(target, int) else None,
        truth=scene.truth(target) if scene is not None and wanted and isinstance(target, int) else None,
        command=command,
        settings={"Model": setting.model.name, "Device": str(setting.device), "Baseline": baseline},
    )


def command_text(command: Callable[..., Any], given: Mapping[str, Any], name: str) -> str:
    """The command line that says what was wished for: only what differs from the usual.

    Parameters
    ----------
    command : callable
        The command, whose defaults are the usual.
    given : mapping of str to object
        What was wished for, by the names of the command's parameters; ``picture`` is the argument.
    name : str
        What the command is called.
    """
    words = ["focalogic", name]
    if given.get("picture") is not None:
        words.append(str(given["picture"]))
    for key, parameter in inspect.signature(command).parameters.items():
        if key not in given or given[key] == parameter.default:
            continue
        value = 0 if key == "max_evaluations" and given[key] is None else given[key]
        option = f"--{key.replace('_', '-')}" if key != "kind" else "--format"
        words.extend([option] if value is True else [f"--no-{key}"] if value is False else [option, str(value)])
    return shlex.join(words)
