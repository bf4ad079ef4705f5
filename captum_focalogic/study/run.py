"""Run a study: explain every image of a data set, and keep the rows."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import DeadProcessError, InputError, MissingExtraError, OtherModelError, StudyError
from captum_focalogic.ground_truth import DEFAULT_MATCH, GroundTruthSource, Match
from captum_focalogic.oracle.removal import remover
from captum_focalogic.segmenters import Segmenter
from captum_focalogic.session import place_of
from captum_focalogic.study.child import Subprocess, UnsentError
from captum_focalogic.study.data import data_from_text
from captum_focalogic.study.engines import Engine, Local, died
from captum_focalogic.study.items import Item, ModelFactory, check_items
from captum_focalogic.study.probes import check_answers
from captum_focalogic.study.progress import Progress
from captum_focalogic.study.rows import Row, error_row
from captum_focalogic.study.settings import Group, StudySettings, model_factory, segmenter_from_text, truth_from_text
from captum_focalogic.study.store import HOPELESS, Store, open_store, read_rows

if TYPE_CHECKING:
    import pyarrow as pa


def run_study(
    items: Sequence[Item] | str | Path,
    model: Callable[[Tensor], Any] | Classifier | ModelFactory | str,
    segmenter: Segmenter | str | None = None,
    truth: GroundTruthSource | bool | str = True,
    out: str | Path = "focalogic-study",
    *,
    match: Match | str = DEFAULT_MATCH,
    engine: Engine | None = None,
    show_progress: bool = False,
    shard_rows: int = 256,
    shard_seconds: float = 10.0,
    retry: bool = True,
    redo_changed: bool = False,
    **how: Any,
) -> "pa.Table":
    """Explain every image of a data set and keep a row of each; continues where an earlier run ended.

    Parameters
    ----------
    items : sequence of Item, str or Path
        The images; see :mod:`captum_focalogic.study.data` for those of folders, lists and the embedded scenes. Or what
        the command line takes: "scenes:100", a folder, a list.
    model : callable, Classifier, ModelFactory or str
        Who is studied: a module or a function of images (N, 3, H, W) in [0, 1], a classifier with its preprocessing and
        names of classes, or a name such as "torchvision:resnet18".
    segmenter : callable or str, optional
        Cuts images; by default each item's own regions, and SLIC with 12 regions for items without.
    truth : callable, bool or str
        A :data:`~captum_focalogic.ground_truth.GroundTruthSource`, ``(image, label, name) -> GroundTruth``, or a name
        such as "masks:FOLDER" or "coco:FILE.json"; True for each item's own, False for none.
    out : str or Path
        The run's folder.
    match : Match or str
        Which regions count as the object: ``"coverage:0.5"`` (default), ``"iou:0.7"`` (the paper's rule).
    engine : Engine, optional
        Who does the work. By default this process, which an image may kill (a crash in a library, too little memory);
        called again, the study goes on, and what was under way is done in another process, where that is possible.
        :class:`~captum_focalogic.study.Subprocess` does everything there: this process lives on.
    show_progress : bool
        Show a progress bar on standard error.
    shard_rows, shard_seconds
        Rows are written after so many of them, or so long; what waits is lost if the process is killed, and done again.
    retry : bool
        Try images again whose rows hold an error, once each time the study is continued.
    redo_changed : bool
        Explain images anew whose files are others than when their rows were made, and all of them where the model
        answers otherwise than it did; without it these are refused.
    **how
        Other fields of :class:`~captum_focalogic.study.settings.StudySettings`: ``search``, ``reading``, ``criterion``,
        ``outputs``, ``baseline``, ``removal``, ``max_evaluations``, ``batch``, ``group``, ``thresholds``, and
        ``device``, by default where the weights of a module are, else the CPU.

    Returns
    -------
    pyarrow.Table
        All rows of the run, as :func:`~captum_focalogic.study.store.read_rows` gives them.

    Raises
    ------
    InputError
        If an argument does not fit.
    StudyError
        If the folder is in use, belongs to another study, or cannot be written.
    BrokenModelError
        If the model fails on every image of a whole group.

    Examples
    --------
    >>> from captum_focalogic.demo import load_model
    >>> from captum_focalogic.study import read_rows, run_study, scenes
    >>> rows = run_study(scenes(32), load_model(), out="run")  # doctest: +SKIP
    >>> rows = run_study("photos/val", "torchvision:resnet18", "slic:12", "masks:photos/masks")  # doctest: +SKIP
    >>> rows.to_pandas()[["id", "formula", "irreducible_precision"]]  # doctest: +SKIP
    """
    factory = model_factory(model)
    if isinstance(items, str | Path):
        items = data_from_text(str(items), factory.make().labels)
    check_items(items)
    matching = Match.from_text(match) if isinstance(match, str) else match
    cut = segmenter_from_text(segmenter) if isinstance(segmenter, str) else segmenter
    where = truth_from_text(truth, factory.make()) if isinstance(truth, str) else truth
    if not isinstance(model, ModelFactory | str):
        how.setdefault("device", str(place_of(factory.make().forward)))
    settings = StudySettings(factory, cut, where, matching, **how)
    if not isinstance(model, ModelFactory):
        # Before the folder is made for a model that cannot.
        remover(settings.removal, settings.model.make().forward)
    return run_items(
        settings,
        items,
        out,
        engine=engine,
        show_progress=show_progress,
        shard_rows=shard_rows,
        shard_seconds=shard_seconds,
        retry=retry,
        redo_changed=redo_changed,
    )


def run_items(
    settings: StudySettings,
    items: Sequence[Item],
    out: str | Path,
    *,
    engine: Engine | None = None,
    show_progress: bool | str = False,
    shard_rows: int = 256,
    shard_seconds: float = 10.0,
    retry: bool = True,
    redo_changed: bool = False,
) -> "pa.Table":
    """Explain items under settings that are made; see :func:`run_study` for everything else.

    ``show_progress`` may be a text, which the bar then begins with.
    """
    check_items(items)
    _check_truth(settings.truth, items)
    kept: dict[str, Any] = {"shard_rows": shard_rows, "shard_seconds": shard_seconds, "retry": retry}
    with open_store(out, settings.record(items), **kept) as store:
        _check_content(items, store, redo_changed)
        try:
            _work(settings, items, store, engine, show_progress)
        except OtherModelError:
            if not redo_changed:
                raise
            store.forget(set(store.done))
            _work(settings, items, store, engine, show_progress)
    return read_rows(out)


def _work(
    settings: StudySettings, items: Sequence[Item], store: Store, engine: Engine | None, show_progress: bool | str
) -> None:
    """Have the groups explained in which some image is not done."""
    if not settings.groups(items, store.done):
        return
    known: dict[tuple[float, ...], Sequence[float]] = {}
    check_answers(known, ({"probes": answers} for answers in store.answers()))
    with Progress(len(items), len(store.done), show_progress) as progress:
        deaths = 0
        while True:
            store.add(error_row(index, items[index].id, items[index].label, died()) for index in _hopeless(store))
            store.flush()
            try:
                for rows in _explained(settings, settings.groups(items, store.done), store, engine, progress):
                    check_answers(known, rows)
                    before = len(store.done)
                    store.add({**row, "content": items[row["index"]].content()} for row in rows)
                    failed = sum(row.get("error") is not None for row in rows)
                    progress.finished(len(store.done) - before, failed, rows[-1]["id"])
                    deaths = 0
                return
            except DeadProcessError as error:
                deaths += 1
                if not store.died() or deaths >= MOST:
                    raise StudyError(f"{error}; what was written is safe") from error


MOST = 6
"""Deaths of the other process in a row, without any row, after which it is given up."""


def _hopeless(store: Store) -> list[int]:
    return [index for index, count in store.deaths.items() if count >= HOPELESS and index not in store.done]


def _explained(
    settings: StudySettings, groups: list[Group], store: Store, engine: Engine | None, progress: Progress
) -> Iterator[list[Row]]:
    """Rows of groups. What was under way when a process died comes last, by itself: its group, then each image."""
    if engine is not None and not isinstance(engine, Local | Subprocess):
        yield from engine.run(settings, groups, progress.judged)
        return
    suspected = [group for group in groups if any(index in store.deaths for index, _ in group)]
    calm = [group for group in groups if group not in suspected]
    if calm:
        yield from (engine or Local()).run(settings, calm, progress.judged, store.begin, progress.ended)
    apart: list[Group] = []
    for group in suspected:
        alone = any(store.deaths.get(index, 0) >= HOPELESS - 1 for index, _ in group)
        left = [[pair] for pair in group if pair[0] not in store.done]
        apart += left if alone else [group]
    if not apart:
        return
    if not isinstance(engine, Local):
        try:
            yield from Subprocess(loaders=0).run(settings, apart, progress.judged, store.begin, progress.ended)
            return
        except (UnsentError, MissingExtraError):
            if engine is not None:
                raise
    yield from Local(loaders=0).run(settings, apart, progress.judged, store.begin, progress.ended)


def _check_truth(source: GroundTruthSource | bool, items: Sequence[Item]) -> None:
    """Refuse images of one name in several folders whose truth is told by the name alone: it is that of one of them."""
    found_at = getattr(source, "found_at", None)
    if found_at is None:
        return
    owners: dict[str, str] = {}
    for item in items:
        place = found_at(item.id)
        if place is not None and owners.setdefault(place, item.id) != item.id:
            raise InputError(
                f"{owners[place]!r} and {item.id!r} have the same ground truth, {place}, which cannot be of both; "
                "study one folder at a time, or name the folders in the annotations"
            )


def _check_content(items: Sequence[Item], store: Store, redo: bool) -> None:
    """Refuse images that were replaced since their rows were made, or forget these rows."""
    changed = {
        index: items[index].id
        for index, content in store.contents()
        if content is not None and items[index].content() != content
    }
    if changed and not redo:
        shown = ", ".join(map(repr, list(changed.values())[:5]))
        raise StudyError(
            f"the files of {len(changed)} image(s) have changed since {store.folder} was written: {shown}; put the old "
            "ones back, choose another folder, or explain these anew with redo_changed (--redo-changed)"
        )
    store.forget(set(changed))
