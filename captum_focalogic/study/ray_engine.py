"""Workers that Ray starts: on the processors of this machine, its GPUs, or those of a cluster."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import captum_focalogic
from captum_focalogic.errors import BrokenModelError, InputError, MissingExtraError
from captum_focalogic.study.explainer import Explainer, OnJudged
from captum_focalogic.study.plan import Group, Plan
from captum_focalogic.study.rows import Row, arrow, as_table


@dataclass(frozen=True)
class RayEngine:
    """Ray Data with a pool of actors, each with a copy of the model.

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

    def run(self, plan: Plan, groups: Sequence[Group], on_judged: OnJudged) -> Iterator[list[Row]]:
        """See :meth:`~captum_focalogic.study.engines.Engine.run`.

        A worker that dies is started again, and its group done again; a row does not depend on who made it.
        """
        ray = _ray()
        pa = arrow()
        _silence(ray)
        own = not ray.is_initialized()
        if own:
            start_ray(max(os.cpu_count() or 1, self.workers * self.cpus), self.address)
        try:
            work = [{"group": ray.cloudpickle.dumps(group)} for group in groups]
            data = ray.data.from_items(work, override_num_blocks=len(work))
            done = data.map_batches(
                _Worker,
                fn_constructor_args=(plan, self.cpus),
                batch_size=1,
                batch_format="numpy",
                concurrency=self.workers,
                num_cpus=self.cpus,
                num_gpus=self.gpus,
            )
            for batch in done.iter_batches(batch_size=1, batch_format="numpy", prefetch_batches=0):
                if batch["broken"][0]:
                    raise BrokenModelError(str(batch["broken"][0]))
                rows = pa.ipc.open_stream(batch["rows"][0]).read_all().to_pylist()
                on_judged(sum(row["evaluations"] or 0 for row in rows))
                yield rows
        finally:
            if own:
                ray.shutdown()


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

    def __init__(self, plan: Plan, cpus: int) -> None:
        torch.set_num_threads(cpus)
        self._explainer = Explainer(plan)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Rows of a group, as an Arrow stream: Ray's own tables would have to guess the columns' types."""
        pa = arrow()
        try:
            rows = [row for packed in batch["group"] for row in self._explainer.group(_ray().cloudpickle.loads(packed))]
        except BrokenModelError as error:
            # Ray would wrap it in an error of its own, whose text is a stack of tracebacks.
            return {"rows": [b""], "broken": [str(error)]}
        table = as_table(rows)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return {"rows": [bytes(sink.getvalue())], "broken": [""]}


def _silence(ray: Any) -> None:
    """The study has its own progress bar."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    return ray
