"""What ``focalogic explain`` does."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from captum_focalogic.attributor import FocaLogic
from captum_focalogic.cli.printing import print_facts, print_focus
from captum_focalogic.cli.setting import Setting, predict, prepare, read_batch
from captum_focalogic.cli.subject import choose_segmenter, find_regions, region_names
from captum_focalogic.cli.writing import make_folder, write_all
from captum_focalogic.focus import Focus
from captum_focalogic.search import Reading


@dataclass(frozen=True)
class Wish:
    """The options of ``focalogic explain``; see its help."""

    picture: Path | None
    model: str
    weights: str | None
    segmenter: str | None
    mask: Path | None
    search: str
    reading: Reading
    criterion: str
    baseline: str
    target: int | None
    device: str
    batch: str
    max_evaluations: int | None
    time_limit: float | None
    out: Path
    seed: int
    tiles: int
    colour_blind: bool
    report: bool
    progress: bool


def carry_out(wish: Wish) -> None:
    """Explain, print and write.

    Raises
    ------
    FocaLogicError
        If the wish cannot be granted.
    """
    batch = read_batch(wish.batch)
    cut = choose_segmenter(wish.segmenter, wish.mask)
    folder = make_folder(wish.out)
    setting = prepare(
        picture=wish.picture,
        model=wish.model,
        weights=wish.weights,
        regions=lambda subject, model: find_regions(subject, model, cut, wish.mask),
        baseline=wish.baseline,
        criterion=wish.criterion,
        device=wish.device,
        seed=wish.seed,
    )

    def explain(forward: Callable[[Tensor], Any]) -> Focus:
        explainer = FocaLogic(
            forward,
            search=wish.search,
            reading=wish.reading,
            criterion=wish.criterion,
            max_evaluations=wish.max_evaluations,
            time_limit=wish.time_limit,
        )
        return explainer.explain(
            setting.inputs,
            baselines=setting.baselines,
            target=wish.target,
            feature_mask=setting.feature_mask,
            perturbations_per_eval=batch,
            show_progress=wish.progress,
        )[0]

    answer = setting.ask(lambda forward: predict(setting, forward))
    focus: Focus = setting.ask(explain)
    focus = replace(focus, names=region_names(setting.subject, setting.label_map))
    print_focus(setting, focus, answer, wish.tiles)
    written = write_all(folder, setting, focus, most_tiles=wish.tiles, colour_blind=wish.colour_blind)
    if wish.report:
        written.append(_write_report(wish, folder, setting, focus))
    _print_the_end(wish, setting, written)


def _write_report(wish: Wish, folder: Path, setting: Setting, focus: Focus) -> str:
    from captum_focalogic.cli.explain import explain as command
    from captum_focalogic.cli.reporting import command_text, entry_of
    from captum_focalogic.report.html import write_report

    entry = entry_of(setting, focus, command_text(command, vars(wish), "explain"), wish.baseline)
    return write_report(folder / "report.html", [entry]).name


def _print_the_end(wish: Wish, setting: Setting, written: list[str]) -> None:
    options = [
        f"{name} {value}"
        for name, value, usual in (
            ("--model", wish.model, "demo"),
            ("--weights", wish.weights, None),
            ("--baseline", wish.baseline, "black"),
            ("--criterion", wish.criterion, "top1"),
            ("--seed", wish.seed, wish.seed if setting.subject.scene is None else 22),
        )
        if value != usual
    ]
    picture = "" if wish.picture is None else f" {wish.picture}"
    print_facts(
        {
            "Written": ", ".join(written),
            "Check": " ".join([f"focalogic verify {wish.out / 'focus.json'}{picture}", *options]),
        }
    )
