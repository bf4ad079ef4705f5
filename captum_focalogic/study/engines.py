"""Who works through the groups of a study: this process, or workers that Ray starts; see ``child`` for a third.

Ray's workers run on the processors of this machine, its GPUs, or those of a cluster.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

import captum_focalogic
from captum_focalogic.errors import DeadProcessError, InputError, MissingExtraError, warn
from captum_focalogic.study.explainer import Explainer, OnEnded, OnJudged, Prepared, check_labels
from captum_focalogic.study.rows import Row, arrow, as_table, error_row, error_text
from captum_focalogic.study.settings import Group, StudySettings


class Engine(Protocol):
    """Explains groups of images, in whatever order and place."""

    def run(self, settings: StudySettings, groups: Sequence[Group], on_judged: OnJudged) -> Iterator[list[Row]]:
        """Yield the rows of each group as soon as they are known; tell how many states were judged."""
        ...


@dataclass(frozen=True)
class Local:
    """This process: one model, whose batches are filled from all images of a group.

    Attributes
    ----------
    loaders : int
        Threads that read and cut the next images in the meantime; 0 for none.
    ahead : int
        Groups to have ready.
    """

    loaders: int = 2
    ahead: int = 2

    def __post_init__(self) -> None:
        if self.loaders < 0 or self.ahead < 1:
            raise InputError(
                f"loaders must not be negative, and ahead at least 1; got loaders={self.loaders}, ahead={self.ahead}"
            )

    def run(
        self,
        settings: StudySettings,
        groups: Sequence[Group],
        on_judged: OnJudged,
        begin: Callable[[Group], object] = lambda _: None,
        on_ended: OnEnded = lambda _: None,
    ) -> Iterator[list[Row]]:
        """See :meth:`Engine.run`; ``begin`` is told of each group before anything of it is read, the last of images."""
        explainer = Explainer(settings)
        for number, prepared in enumerate(self._prepared(explainer, groups, begin)):
            if not number and (doubt := explainer.check_first(prepared)):
                warn(doubt)
            rows = explainer.rows(prepared, on_judged, on_ended)
            if not number:
                check_labels(explainer.classes, [item for group in groups for _, item in group])
            yield rows

    def _prepared(
        self, explainer: Explainer, groups: Sequence[Group], begin: Callable[[Group], object]
    ) -> Iterator[list[Prepared | Row]]:
        if not self.loaders:
            for group in groups:
                begin(group)
                yield [explainer.prepare(index, item) for index, item in group]
            return
        pool = ThreadPoolExecutor(self.loaders, thread_name_prefix="loader")
        try:
            ready: deque[list[Future[Prepared | Row]]] = deque()
            for group in groups:
                begin(group)
                ready.append([pool.submit(explainer.prepare, index, item) for index, item in group])
                if len(ready) > self.ahead:
                    yield [image.result() for image in ready.popleft()]
            while ready:
                yield [image.result() for image in ready.popleft()]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class RayEngine:
    """Ray with a pool of actors, each with a copy of the model.

    Attributes
    ----------
    workers : int
        Copies of the model.
    cpus : int
        Processors of each worker, and the threads that torch gets there.
    gpus : float
        GPUs of each worker.
    address : str or None
        A cluster to join; by default the one in the environment variable RAY_ADDRESS, else Ray runs on this machine
        for the time of the study.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    workers: int = 2
    cpus: int = 1
    gpus: float = 0.0
    address: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1 or self.cpus < 1 or self.gpus < 0:
            raise InputError(
                f"expected at least 1 worker and 1 cpu, and no negative gpus; got workers={self.workers}, "
                f"cpus={self.cpus}, gpus={self.gpus}"
            )

    def run(self, settings: StudySettings, groups: Sequence[Group], on_judged: OnJudged) -> Iterator[list[Row]]:
        """See :meth:`Engine.run`.

        A worker that dies is replaced, and each image of its group is explained again, alone: a row does not depend on
        who made it. An image with which a worker dies alone costs a row with the error. Rows are held back until the
        first group's images have been held against what belongs to them, and their classes against the model's.
        """
        ray = _ray()
        own = not ray.is_initialized()
        if own:
            start_ray(max(os.cpu_count() or 1, self.workers * self.cpus), self.address)
        try:
            lost: list[Group] = []
            held: list[list[Row]] = []
            checked = False
            for group, rows in self._explained(settings, groups):
                if rows is None:
                    lost.append(group)
                else:
                    held.append(_counted(rows, on_judged))
                checked = checked or group is groups[0]
                if checked:
                    yield from held
                    held.clear()
            alone = [[pair] for group in lost for pair in group]
            for group, rows in self._explained(settings, alone):
                ((index, item),) = group
                yield [error_row(index, item.id, item.label, died())] if rows is None else _counted(rows, on_judged)
        finally:
            if own:
                ray.shutdown()

    def _explained(self, settings: StudySettings, groups: Sequence[Group]) -> Iterator[tuple[Group, list[Row] | None]]:
        """Each group with its rows, or None where its worker died; a worker has one group at a time."""
        ray, pa = _ray(), arrow()
        make = ray.remote(_Worker).options(num_cpus=self.cpus, num_gpus=self.gpus, max_restarts=0, max_task_retries=0)
        shared = ray.put(ray.cloudpickle.dumps(settings))
        waiting, busy = deque(groups), dict[Any, tuple[Any, Group]]()
        workers = deque(make.remote(shared, self.cpus) for _ in range(min(self.workers, len(groups))))
        while waiting or busy:
            while waiting and workers:
                worker, group = workers.popleft(), waiting.popleft()
                first = group is groups[0]
                busy[worker.rows.remote(ray.cloudpickle.dumps(group), first)] = (worker, group)
            (done,), _ = ray.wait(list(busy))
            worker, group = busy.pop(done)
            try:
                packed, broken, doubt, classes = ray.get(done)
            except (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
                workers.append(make.remote(shared, self.cpus))
                yield group, None
                continue
            if broken:
                raise ray.cloudpickle.loads(broken)
            if doubt:
                warn(doubt)
            if group is groups[0]:
                check_labels(classes, [item for each in groups for _, item in each])
            workers.append(worker)
            yield group, pa.ipc.open_stream(packed).read_all().to_pylist()


def _counted(rows: list[Row], on_judged: OnJudged) -> list[Row]:
    on_judged(sum(row["evaluations"] or 0 for row in rows))
    return rows


def start_ray(cpus: int, address: str | None = None) -> None:
    """Start Ray on this machine, or join a cluster; its workers find the modules that this process finds.

    Parameters
    ----------
    cpus : int
        Processors to give it, at least as many as its workers need.
    address : str, optional
        A cluster's, which has its own processors; by default the environment variable RAY_ADDRESS.
    """
    places = [str(Path(captum_focalogic.__file__).parents[1]), *filter(None, sys.path)]
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(dict.fromkeys(places))}}
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "runtime_env": environment}
    address = address or os.environ.get("RAY_ADDRESS")
    if address is None:
        _ray().init(num_cpus=cpus, include_dashboard=False, **quiet)
    else:
        _ray().init(address=address, **quiet)


class _Worker:
    """One copy of the model, in an actor."""

    def __init__(self, settings: bytes, cpus: int) -> None:
        torch.set_num_threads(cpus)
        self._settings = settings
        self._explainer: Explainer | None = None

    def rows(self, packed: bytes, first: bool) -> tuple[bytes, bytes, str | None, int | None]:
        """Rows of a group, as an Arrow stream, or the error that ended it; a warning, and how many classes there are.

        What belongs to the images of the first group is checked before the model is asked about them.
        """
        pa = arrow()
        try:
            # Made here, since a worker whose making fails could not be told from one that died.
            explainer = self._explainer = self._explainer or Explainer(_ray().cloudpickle.loads(self._settings))
            prepared = [explainer.prepare(index, item) for index, item in _ray().cloudpickle.loads(packed)]
            doubt = explainer.check_first(prepared) if first else None
            rows = explainer.rows(prepared)
        except Exception as error:
            # Ray would wrap it in an error of its own, whose text is a stack of tracebacks.
            return b"", pack_error(error, _ray().cloudpickle), None, None
        table = as_table(rows)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue()), b"", doubt, explainer.classes


def pack_error(error: Exception, pickle: Any) -> bytes:
    """An exception for another process, pickled by that module; one that cannot be sent is told by its text."""
    try:
        packed: bytes = pickle.dumps(error)
        pickle.loads(packed)
    except Exception:
        packed = pickle.dumps(RuntimeError(error_text(error)))
    return packed


def died() -> DeadProcessError:
    """What the row of an image says whose explanation no process survives."""
    return DeadProcessError(
        "the process died each time that this image was explained, alone at last: the model crashes on it, "
        "or takes more memory than there is"
    )


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    return ray
