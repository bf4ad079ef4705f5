"""Time and metrics by the number of regions and the width of the beam (the paper's figure 11)."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any, get_args

import numpy as np

from captum_focalogic.classifier import Classifier
from captum_focalogic.demo.network import load_model
from captum_focalogic.experiments.findings import (
    Estimate,
    about,
    by_seed,
    change,
    mean_estimate,
    moves,
    saved,
    stays_under_all,
    untestable,
    within,
)
from captum_focalogic.experiments.framework import (
    EVERY_SIZE,
    FEWEST,
    USUAL,
    Conclusion,
    Condition,
    Config,
    Embedded,
    Experiment,
    Finding,
    Result,
    Settings,
    Setup,
    Workspace,
    studied,
)
from captum_focalogic.experiments.photos import Photos, remembering
from captum_focalogic.experiments.published import BEAM
from captum_focalogic.experiments.scenes import scene_items, scene_plan
from captum_focalogic.experiments.tables import READINGS, measure_table, new_figure
from captum_focalogic.search import Beam, Exhaustive, Strategy
from captum_focalogic.search.beam import Scope
from captum_focalogic.segmenters import Slic
from captum_focalogic.study import MEASURES

NARROW: tuple[int, ...] = (1, 2, 5)
"""Widths of the beam with more regions: with 20 and more, a wider one spends its budget before it finds any state."""

EXHAUSTIVE_REGIONS = 12
"""Regions up to which the search without a beam is tried, which asks for up to 2^M states."""

BUDGET = 1 << EXHAUSTIVE_REGIONS
"""Evaluations that an image may take: enough for every search that is not pruned. With more regions, half of it."""

SHARE = 8
"""Of the scenes of the embedded size every so manieth is explained: each is, under every setting."""


@dataclass(frozen=True)
class Pruning:
    """One setting.

    Attributes
    ----------
    regions : int
        How many SLIC is asked for.
    width : int, optional
        Of the beam; without one nothing is pruned.
    scope : {"state", "level"}
        Whether so many children of each state are kept, the paper's rule, or so many states of each level.
    """

    regions: int
    width: int | None
    scope: Scope = "state"

    @property
    def name(self) -> str:
        """What it is called in tables and folders."""
        return f"{self.regions} regions, {self.beam}"

    @property
    def beam(self) -> str:
        """The pruning alone."""
        if self.width is None:
            return "off"
        return f"beam {self.width}" if self.scope == "state" else f"beam {self.width} a level"

    @property
    def budget(self) -> int:
        """Evaluations that an image may take."""
        return BUDGET if self.regions <= EXHAUSTIVE_REGIONS else BUDGET // 2

    @property
    def search(self) -> Strategy:
        """The search that prunes so."""
        return Exhaustive() if self.width is None else Beam(self.width, self.scope)


def prunings(settings: Settings = USUAL) -> list[Pruning]:
    """The paper's pruning by regions and width; without pruning where that is possible, and by level where it is not.

    With ``k`` children kept of each state a level still grows up to k-fold: with many regions only a search that keeps
    so many states of each level gets to the end.
    """
    made = []
    for count in settings.regions:
        if count <= EXHAUSTIVE_REGIONS:
            made += [*(Pruning(count, width) for width in settings.widths), Pruning(count, None)]
        else:
            narrow = [width for width in settings.widths if width in NARROW]
            made += [Pruning(count, width, scope) for scope in get_args(Scope) for width in narrow]
    return made


def _conditions(config: Config) -> list[Condition[Result]]:
    """A study for each number of regions and each pruning."""
    setup = _setup(config)
    images = f"{_count(config)} {'scenes' if isinstance(config, Embedded) else 'images'}"
    return [_condition(pruning, images, setup) for pruning in prunings(config.settings)]


def _condition(pruning: Pruning, images: str, setup: Callable[..., Setup]) -> Condition[Result]:
    def make(_: Workspace) -> Setup:
        return setup(segmenter=Slic(pruning.regions), search=pruning.search, max_evaluations=pruning.budget)

    what = f"explain {images} by {pruning.regions} SLIC regions, {pruning.beam}, at most {pruning.budget:,} evaluations"
    return studied(pruning.name, what, make)


def _setup(config: Config) -> Callable[..., Setup]:
    """What makes a study of a plan's fields; all studies of it share one model, and on photographs its answers."""
    if isinstance(config, Embedded):
        return lambda **how: Setup(
            scene_plan(load_model(), "demo", **how), scene_items(_count(config), first=config.first_scene)
        )

    @cache
    def model() -> Classifier:
        found = config.find_model(config.model_name)
        return remembering(found) if isinstance(config, Photos) else found

    return lambda **how: Setup(config.plan(config.model_name, model(), **how), config.find_items(model()))


def _count(config: Config) -> int:
    if isinstance(config, Embedded):
        return min(config.images, max(FEWEST, config.images // SHARE))
    return config.images


def _conclude(config: Config, results: Sequence[Result]) -> Conclusion:
    """What pruning saves, and what it changes."""
    tried = prunings(config.settings)
    measured = _measured(results)
    by = dict(zip(tried, measured, strict=True))
    facts = {"regions": ".1f", "evaluations": ",.0f", "time": ".2f", "stopped": ".0%"}
    time = "Time: seconds over those of the first line; "
    if isinstance(config, Photos):
        # answers that were remembered take no time
        del facts["time"]
        time = ""
    caption = (
        f"By SLIC's number of regions and by the beam; means over images. {time}"
        f"stopped: share of the images whose search ended at its budget, {BUDGET:,} evaluations up to "
        f"{EXHAUSTIVE_REGIONS} regions and half as many above."
    )
    findings = [
        *about("pruned", _costs(by)),
        *about("unchanged", _changes(by)),
        *about("linear", [_linear(by)]),
    ]
    return Conclusion([measure_table(measured, caption, "search", facts)], _figure(by), findings, _notes(config))


def evaluations_saved(first: Result, second: Result) -> Estimate | None:
    """Share of the evaluations of a first study that a second one of the same images does without."""
    return by_seed([first, second], _evaluations_saved)


def _evaluations_saved(pair: Sequence[Result]) -> Estimate | None:
    counts = [_evaluations(result) for result in pair]
    common = [name for name in counts[0] if name in counts[1]]
    before, after = (np.array([count[name] for name in common], dtype=np.float64) for count in counts)
    return saved(before, after)


def _evaluations(result: Result) -> dict[str, int]:
    columns = (result.rows.column(name).to_pylist() for name in ("id", "evaluations"))
    return {name: count for name, count in zip(*columns, strict=True) if count is not None}


def _measured(results: Sequence[Result]) -> list[Result]:
    """Results with what they cost."""
    first = results[0].seconds
    found = []
    for result in results:
        met = [why is not None for why in result.rows.column("certificate_stopped").to_pylist()]
        facts = {
            "regions": result.mean("num_regions").value,
            "evaluations": result.mean("evaluations").value,
            "time": result.seconds / first if first else math.nan,
            "stopped": float(np.mean(met)),
        }
        found.append(replace(result, facts={**result.facts, **facts}))
    return found


def _costs(by: Mapping[Pruning, Result]) -> list[Finding]:
    """Whether every width saves evaluations against no beam, and more regions cost more."""
    findings = []
    for off in (pruning for pruning in by if pruning.width is None):
        for pruning in by:
            if pruning.regions == off.regions and pruning.width is not None:
                claim = f"{pruning.beam} saves evaluations with {off.regions} regions (share)"
                findings.append(moves(claim, "", evaluations_saved(by[off], by[pruning])))
    offs = [pruning for pruning in by if pruning.width is None]
    most = max(offs, key=lambda pruning: pruning.regions, default=None)
    width = int(BEAM.low)
    if most is not None and replace(most, width=width) in by:
        found = evaluations_saved(by[most], by[replace(most, width=width)])
        claim = f"a beam of {width} saves an order of magnitude with {most.regions} regions (share)"
        findings.append(within(claim, "", found, low=ORDER))
    for fewer, more in pairwise(offs):
        claim = f"{fewer.regions} regions in place of {more.regions} save evaluations without a beam (share)"
        findings.append(moves(claim, "", evaluations_saved(by[more], by[fewer])))
    return findings


def _changes(by: Mapping[Pruning, Result]) -> list[Finding]:
    """Whether a measure is the same with a beam as without."""
    findings = []
    for off in (pruning for pruning in by if pruning.width is None):
        pruned = [pruning for pruning in by if pruning.regions == off.regions and pruning.width is not None]
        for measure in MEASURES:
            for reading in READINGS:
                column = f"{reading}_{measure}"
                changes = {pruning.beam: change(by[off], by[pruning], column) for pruning in pruned}
                claim = f"a beam leaves {measure} as it is, {off.regions} regions"
                findings.append(stays_under_all(claim, reading, changes))
    return findings


ORDER = 0.9
"""Share of the evaluations from which on a beam saves an order of magnitude."""

LINEAR = (0.75, 1.25)
"""Exponents of the growth with the regions that count as about linear."""


def _linear(by: Mapping[Pruning, Result]) -> Finding:
    """Whether evaluations grow about linearly with the regions at the paper's beam: the slope of their logarithms."""
    width = int(BEAM.low)
    claim = f"evaluations grow about linearly with the regions at a beam of {width} (exponent)"
    beams = [result for pruning, result in by.items() if pruning.width == width and pruning.scope == "state"]
    if len(beams) < 2:
        return untestable(claim, "", f"a beam of {width} was not tried with two numbers of regions")
    return within(claim, "", by_seed(beams, _exponent), *LINEAR)


def _exponent(results: Sequence[Result]) -> Estimate | None:
    """Mean over images of the slope of log evaluations on log regions, by least squares."""
    columns = [{row["id"]: row for row in result.rows.to_pylist()} for result in results]
    slopes = []
    for name in columns[0]:
        rows = [column.get(name) for column in columns]
        pairs = np.array([(row["num_regions"], row["evaluations"]) for row in rows if row and row["evaluations"]])
        if len(pairs) == len(results) and len(set(pairs[:, 0])) > 1:
            logs = np.log(pairs)
            slopes.append(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
    return mean_estimate(np.array(slopes))


def _figure(by: Mapping[Pruning, Result]) -> Any:
    panels: list[Any]
    figure, panels = new_figure(4, width=11.0, height=8.0, rows=3)
    beams = list(dict.fromkeys(pruning.beam for pruning in by))
    widths = list(dict.fromkeys(pruning.width for pruning in by))
    colours = dict(zip(widths, _colours(len(widths)), strict=True))
    for beam in beams:
        chosen = [(pruning, result) for pruning, result in by.items() if pruning.beam == beam]
        colour, dashes = colours[chosen[0][0].width], ":" if chosen[0][0].scope == "level" else "-"
        places = [pruning.regions for pruning, _ in chosen]
        drawn: list[tuple[Any, list[float]]] = [
            (panels[0], [result.facts["evaluations"] for _, result in chosen]),
            (panels[1], [result.facts["time"] for _, result in chosen]),
            (panels[2], [100 * result.facts["stopped"] for _, result in chosen]),
            (panels[3], [result.mean("irreducible_count").value for _, result in chosen]),
        ]
        for row, reading in enumerate(READINGS, start=1):
            for place, measure in enumerate(MEASURES):
                column = f"{reading}_{measure}"
                drawn.append((panels[4 * row + place], [result.mean(column).value for _, result in chosen]))
        for panel, values in drawn:
            panel.plot(places, values, dashes, color=colour, marker="o", ms=3, label=beam)
    titles = ["evaluations", "time (first = 1)", "% of searches stopped", "irreducible states found"]
    titles += [title for reading in READINGS for title in (*(f"{name}, {reading}" for name in MEASURES), "")]
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title, fontsize=9)
    for panel in panels[:2]:
        panel.set_yscale("log")
    for panel in panels[4:]:
        panel.set_xlabel("regions")
    handles, labels = panels[0].get_legend_handles_labels()
    panels[7].legend(handles, labels, frameon=False, fontsize=7, loc="center")
    for panel in (panels[7], panels[11]):
        panel.set_axis_off()
    return figure


def _colours(count: int) -> list[Any]:
    import matplotlib

    return [matplotlib.colormaps["viridis"](place / max(1, count - 1)) for place in range(count)]


_TIME = {
    False: "Time is the clock's, in one run: whatever else the machine did is in it. Evaluations are exact.",
    True: "The network's answers are remembered from one search to the next, so that the clock says nothing of a "
    "search by itself. Evaluations are what each search asks for, remembered or not.",
}
"""On the clock, where answers are remembered (True) and where not."""


def _notes(config: Config) -> list[str]:
    notes = [
        "The paper does not say which k states its beam keeps; here the most confident, of each state's children (the "
        "paper's rule), or where that is said of each level.",
        "A measure stays if the whole 95 % interval of its change lies within 0.05 of 0, and a saving "
        "counts from 0.05 on. There is no search without a beam to hold others against above 12 regions.",
        f"In the paper, time grows about linearly with the regions at a beam of {BEAM}, which keeps so many "
        "children of each state.",
        _TIME[isinstance(config, Photos)],
        "Where a search ended at its budget, its states are those found so far; images of which none was found are "
        "left out of means of precision and divergence.",
        "SLIC cuts in both sizes, since it can be asked for a number of regions.",
    ]
    if isinstance(config, Embedded):
        notes.append("The embedded model that comes with the package; nothing was trained.")
    return notes


EXPERIMENT = Experiment(
    "Efficiency",
    "figure 11 and section 3.6",
    _conditions,
    _conclude,
    sizes=EVERY_SIZE,
    images=_count,
    judges=("pruned", "unchanged", "linear"),
)
"""The experiment by name "efficiency"."""
