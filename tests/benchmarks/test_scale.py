"""What a second worker is worth: the same study by one and by two single-threaded workers.

``pytest tests/benchmarks/test_scale.py -s``; needs two processors that have nothing else to do.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="needs ray (the ray extra)")

from captum_focalogic.demo import load_model  # noqa: E402
from captum_focalogic.study import RayEngine, run_study, same_rows, scenes  # noqa: E402
from captum_focalogic.study.engines import start_ray  # noqa: E402

SCENES = 240


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    start_ray(2)
    yield
    ray.shutdown()


def test_two_workers(benchmark: Any, tmp_path: Path) -> None:
    """Wall time of whole studies, the start of the workers included; by one worker, then by two."""
    items, model, seconds, tables = scenes(SCENES), load_model(), [], []

    def study(workers: int) -> None:
        start = time.perf_counter()
        tables.append(run_study(items, model, out=tmp_path / str(len(tables)), engine=RayEngine(workers)))
        seconds.append(time.perf_counter() - start)

    study(1)
    benchmark.pedantic(study, args=(2,), rounds=1, iterations=1)
    assert same_rows(tables[0], tables[1])
    evaluations = sum(tables[0].column("evaluations").to_pylist())
    benchmark.extra_info.update(
        speedup=round(seconds[0] / seconds[1], 2),
        seconds=[round(value, 1) for value in seconds],
        evaluations=evaluations,
        evaluations_per_second=[round(evaluations / value) for value in seconds],
    )
    print("\n", benchmark.name, dict(benchmark.extra_info))
