"""What ``focalogic study`` does."""

from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from captum_focalogic.cli import models
from captum_focalogic.cli.failing import CommandError, brief, say
from captum_focalogic.cli.printing import print_facts
from captum_focalogic.cli.subject import choose_segmenter
from captum_focalogic.ground_truth import GroundTruthSource, MaskFiles, Match
from captum_focalogic.search import Reading
from captum_focalogic.segmenters import Segmenter
from captum_focalogic.study import (
    Engine,
    Item,
    Local,
    Model,
    ModelFactory,
    StudySettings,
    compare_runs,
    data_from_text,
    read_rows,
    read_settings,
    run_items,
    summarise,
)
from captum_focalogic.study.examples import Example, write_examples
from captum_focalogic.study.page import write_page
from captum_focalogic.study.settings import Identified, model_factory
from captum_focalogic.study.store import write_whole
from captum_focalogic.study.tables import comparison_csv, comparison_latex, write_tables

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Wish:
    """The options of ``focalogic study run``; see its help."""

    data: str
    model: str
    weights: str | None
    segmenter: str | None
    truth: str
    match: str
    out: Path
    limit: int | None
    search: str
    reading: Reading
    criterion: str
    baseline: str
    max_evaluations: int | None
    device: str
    batch: int
    group: int
    engine: Literal["local", "ray"]
    workers: int | None
    cpus: int
    examples: int
    progress: bool


@dataclass(frozen=True)
class FromModule:
    """A function in a Python file, found where it is called: Ray's workers get the file's name, not the function.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        The function, or a class or function without arguments that makes it.
    """

    path: Path
    name: str

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return _loaded(self)(*arguments)


def _from_module(text: str) -> FromModule | None:
    """A function in a file, if that is what the name means; loaded now, so that a misspelt one is told at once."""
    path, colon, name = text.rpartition(":")
    if not colon or not path.endswith(".py"):
        return None
    named = FromModule(Path(path).resolve(), name)
    _loaded(named)
    return named


_LOADED: dict[FromModule, Callable[..., Any]] = {}


def _loaded(named: FromModule) -> Callable[..., Any]:
    if named not in _LOADED:
        found = getattr(models._import(named.path), named.name, None)
        if not callable(found):
            raise CommandError(f"{named.path} has no function {named.name!r}")
        try:
            _LOADED[named] = found() if isinstance(found, type) else found
        except Exception as error:
            raise CommandError(f"{named.name} of {named.path} failed, {brief(error)}") from error
    return _LOADED[named]


def carry_out(wish: Wish) -> None:
    """Run a study, summarise it, say where it is.

    Raises
    ------
    FocaLogicError
        If the wish cannot be granted.
    """
    device = str(models.find_device(wish.device))
    match = Match.from_text(wish.match)
    segmenter = find_segmenter(wish.segmenter)
    model = make_model(wish.model, wish.weights)
    truth = find_truth(wish.truth, model)
    identity = model_factory(model).identity
    make = partial(make_model, _absolute(wish.model), None if wish.weights is None else str(_weights(wish.weights)))
    plan = StudySettings(
        ModelFactory(make if wish.engine == "ray" else lambda: model, identity),
        segmenter,
        truth,
        match,
        search=wish.search,
        reading=wish.reading,
        criterion=wish.criterion,
        baseline=wish.baseline,
        max_evaluations=wish.max_evaluations,
        batch=wish.batch,
        group=wish.group,
        device=device,
    )
    items = data_from_text(wish.data, model.labels, wish.limit)
    rows = run_items(plan, items, wish.out, engine=_engine(wish, device), show_progress=wish.progress)
    _finish(wish, plan, items, rows, model)


def make_model(name: str, weights: str | None) -> Model:
    """A model by its command line name, for a study."""
    named = models.find_model(name, weights)
    return Model(named.forward, named.name, named.see, named.see_labels, named.labels)


def summarise_run(run: Path, resamples: int) -> None:
    """Print and write the summary of a study."""
    rows = read_rows(run)
    total = read_settings(run)["images"]
    if len(rows) < total:
        say(f"note: {run} is not finished; this is about {len(rows):,} of {total:,} images")
    summary = summarise(rows, resamples=resamples)
    print(summary)
    print_facts({"": "", "Written": ", ".join(map(str, write_tables(summary, run)))})


def compare_two(run_a: Path, run_b: Path, out: Path | None, resamples: int) -> None:
    """Print the comparison of two studies, and write it where asked."""
    comparison = compare_runs(run_a, run_b, resamples=resamples)
    print(comparison)
    if out is not None:
        forms = {".csv": comparison_csv, ".tex": comparison_latex}
        text = forms.get(out.suffix.lower(), lambda compared: f"{compared}\n")(comparison)
        write_whole(out, text.encode("utf-8"))
        print_facts({"": "", "Written": str(out)})


def _finish(wish: Wish, plan: StudySettings, items: list[Item], rows: "pa.Table", model: Model) -> None:
    summary = summarise(rows, class_names=model.labels)
    print(summary)
    examples: list[Example] = write_examples(plan, items, rows, wish.out, wish.examples) if wish.examples else []
    page = write_page(wish.out / "report.html", rows, summary, read_settings(wish.out), examples, f"{wish.data}")
    written = [*write_tables(summary, wish.out), page]
    print_facts(
        {
            "": "",
            "Rows": f"{len(rows):,} in {wish.out}, {sum(summary.errors.values())} of them errors",
            "Written": ", ".join(map(str, written)),
        }
    )


def find_segmenter(text: str | None) -> Segmenter | None:
    """What cuts images, by its command line name."""
    if text is None:
        return None
    found = _from_module(text) or choose_segmenter(text, None)
    return found if found is None or is_dataclass(found) else Identified(found, text)


def find_truth(text: str, model: Model) -> GroundTruthSource | bool:
    """What says where the object is, by its command line name; some ask for the names of the model's classes."""
    if text in ("own", "none"):
        return text == "own"
    kind, _, rest = text.partition(":")
    if kind == "masks" and rest:
        if not Path(rest).is_dir():
            raise CommandError(f"there is no folder {rest} of masks")
        return MaskFiles(Path(rest).resolve())
    if kind in ("grounded-sam", "sam3"):
        if model.labels is None:
            raise CommandError(f"the truth {kind} asks for classes by name, but the model {model.name} names none")
        return Identified(_by_label(kind, rest), text)
    found = _from_module(text)
    if found is not None:
        return found
    raise CommandError(
        f"unknown truth {text!r}; choose own, none, masks:FOLDER, grounded-sam:DETECTOR, sam3:MODEL or "
        "PATH/MODULE.py:NAME"
    )


def _by_label(kind: str, rest: str) -> Callable[..., Any]:
    from captum_focalogic.integrations.grounding import GroundedSam, Sam3Truth

    made: type[GroundedSam | Sam3Truth] = GroundedSam if kind == "grounded-sam" else Sam3Truth
    return made(rest) if rest else made()


def _engine(wish: Wish, device: str) -> Engine:
    if wish.engine == "local":
        return Local() if wish.workers is None else Local(loaders=wish.workers)
    from captum_focalogic.study.engines import RayEngine

    gpu = device.startswith("cuda")
    usual = torch.cuda.device_count() if gpu else max(1, torch.get_num_threads() // wish.cpus)
    return RayEngine(wish.workers or usual, wish.cpus, 1.0 if gpu else 0.0)


def _absolute(model: str) -> str:
    """The model's name for a process that runs in another folder."""
    path, colon, name = model.rpartition(":")
    return f"{Path(path).resolve()}:{name}" if colon and path.endswith(".py") else model


def _weights(text: str) -> str | Path:
    return Path(text).resolve() if Path(text).exists() else text
