"""What ``focalogic logic necessary`` and ``rules`` do."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.cli.facts import print_facts, state_text
from captum_focalogic.cli.failing import CommandError
from captum_focalogic.cli.sources import read_focus, write_text
from captum_focalogic.errors import InputError
from captum_focalogic.focus import Focus
from captum_focalogic.logic import RuleSet, class_rules, necessary_states, to_text
from captum_focalogic.tables import Column, Table

_TABLES = (".md", ".csv", ".json")
_SETS = ("regions", "area", Column("the model", "left"))


@dataclass(frozen=True)
class Asked:
    """The model to ask, and what about; see the options of ``focalogic verify``."""

    picture: Path | None
    model: str
    weights: str | None
    criterion: str
    baseline: str
    device: str
    batch: str
    seed: int


def necessary(path: Path, *, picture: Path | None, asked: Asked | None, limit: int) -> None:
    """Print what cannot be spared.

    Raises
    ------
    FocaLogicError
        If the file is no explanation, or an option names something that does not exist or does not fit.
    """
    if asked is None:
        if picture is not None:
            raise CommandError("a picture is of use only to a model: add --model, or leave the picture out")
        focus = read_focus(path)
        states = necessary_states(focus.final_states, limit)
        remarks = ["" for _ in states]
        said = f"{len(states):,} minimal set(s) defeat the formula; --model MODEL asks the model"
    else:
        focus = read_focus(path)
        states, confirmed = _ask(focus, path, asked, limit)
        remarks = ["confirmed" if each else "NOT confirmed: the model keeps its prediction" for each in confirmed]
        said = f"{len(states):,} minimal set(s) defeat the formula; the model confirms {int(confirmed.sum()):,}"
    rows = [
        (state_text(focus, state), f"{focus.areas[state].sum():.1%} of the picture", f" {remark}")
        for state, remark in zip(states, remarks, strict=True)
    ]
    print_facts(
        {
            "Formula": focus.formula,
            "Necessary": said,
            "Without": Table(_SETS, rows).text(headed=False) if rows else "nothing defeats it",
        }
    )


def _ask(focus: Focus, path: Path, asked: Asked, limit: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    from captum_focalogic.cli.setting import read_batch
    from captum_focalogic.cli.verifying import setting_of
    from captum_focalogic.verify import masked_model_of, necessary

    rows = read_batch(asked.batch)
    setting = setting_of(
        focus,
        path,
        picture=asked.picture,
        model=asked.model,
        weights=asked.weights,
        criterion=asked.criterion,
        baseline=asked.baseline,
        device=asked.device,
        seed=asked.seed,
    )

    def ask(forward: Any) -> Any:
        masked = masked_model_of(
            focus,
            forward,
            setting.inputs,
            baselines=setting.baselines,
            feature_mask=setting.feature_mask,
            criterion=asked.criterion,
            perturbations_per_eval=rows,
        )
        return necessary(focus, masked, limit)

    found = setting.ask(ask)
    return found.states, found.confirmed


def rules(
    paths: Sequence[Path], *, names: Path | None, min_support: float, min_confidence: float, out: Path | None
) -> None:
    """Print the rules of a class, and write them as a table.

    Raises
    ------
    FocaLogicError
        If a file is no explanation, the names cannot be used, or the table cannot be written.
    """
    if out is not None and out.suffix.lower() not in _TABLES:
        raise CommandError(f"the table must end in {', '.join(_TABLES[:-1])} or {_TABLES[-1]}; got {out.name}")
    focuses = [read_focus(path) for path in paths]
    maps = None if names is None else _names(names, paths)
    if maps is None and not any(focus.names for focus in focuses):
        raise InputError("no region of these explanations has a name; say what they are called with --names NAMES.json")
    found = class_rules(focuses, maps, min_support, min_confidence)
    facts = {
        "Explanations": f"{found.num_images:,}; the rules explain {found.coverage:.1%} of them",
        "Formula": to_text(found.expression),
        "Rules": found.to_table().text() if found.rules else "none",
    }
    if found.unnamed_images:
        facts["Without names"] = f"{found.unnamed_images:,}: each of their final states has a region without a name"
    if out is not None:
        write_text(out, _written(found, out.suffix.lower()))
        facts["Written"] = str(out)
    print_facts(facts)


def _written(found: RuleSet, ending: str) -> str:
    if ending == ".json":
        return json.dumps(found.to_rows(), ensure_ascii=False, indent=1) + "\n"
    return f"{found.to_table().markdown()}\n" if ending == ".md" else found.to_table().csv()


def _names(path: Path, focuses: Sequence[Path]) -> list[Mapping[int, str]]:
    """One map of names for each focus."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(stored, dict) or not stored:
        raise InputError(f'{path} must hold an object of names, {{"1": "wheel"}}, or one for each explanation')
    if not any(isinstance(value, dict) for value in stored.values()):
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
        if not region.removeprefix("-").isdecimal() or not isinstance(name, str):
            raise InputError(f"{path}: expected a region's id and its name as text; got {region!r}: {name!r}")
        names[int(region)] = name
    return names
