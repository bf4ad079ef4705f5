"""A command goes on where its process dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from makers import start_python
from PIL import Image

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forks")

BODY = """
import os, signal, sys, time
from pathlib import Path
# A test run in the background of a shell passes on that it ignores Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
from captum_focalogic.cli.supervision import survive

folder = Path(sys.argv[1])
survive(lambda: len(list(folder.glob("part*"))), (folder / "begun").exists)
(folder / f"process-{os.getpid()}").touch()
(folder / "begun").touch()
"""


def run(tmp_path: Path, code: str) -> "subprocess.Popen[str]":
    return start_python(BODY + code, str(tmp_path))


def tries(tmp_path: Path) -> int:
    return len(list(tmp_path.glob("process-*")))


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_whoever_ends_by_itself_is_not_started_again(tmp_path: Path, code: int) -> None:
    process = run(tmp_path, f"print('said'); sys.exit({code})")
    assert process.communicate(timeout=60)[0] == "said\n"
    assert process.returncode == code
    assert tries(tmp_path) == 1


@pytest.mark.parametrize("death", ["os._exit(0)", "os.kill(os.getpid(), 9)", "os.abort()"])
def test_whoever_dies_is_started_again_while_there_is_progress(tmp_path: Path, death: str) -> None:
    process = run(
        tmp_path,
        f"""
parts = len(list(folder.glob("part*")))
(folder / f"part{{parts}}").touch()
if parts < 9:
    {death}
print("done")
""",
    )
    out, err = process.communicate(timeout=60)
    assert (out, process.returncode, tries(tmp_path)) == ("done\n", 0, 10)
    assert err.count("the process died") == 9


def test_there_is_an_end_without_progress(tmp_path: Path) -> None:
    process = run(tmp_path, "os._exit(7)")
    assert "the process died with 7; what was written is safe" in process.communicate(timeout=60)[1]
    assert (process.returncode, tries(tmp_path)) == (1, 6)


def test_nothing_is_started_again_before_the_work_began(tmp_path: Path) -> None:
    process = run(tmp_path, "(folder / 'begun').unlink(); os._exit(7)")
    process.communicate(timeout=60)
    assert (process.returncode, tries(tmp_path)) == (1, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_end_both(tmp_path: Path, number: signal.Signals) -> None:
    process = run(
        tmp_path,
        """
try:
    (folder / "ready").write_text(str(os.getpid()))
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(130)
""",
    )
    while not (tmp_path / "ready").exists() or not (tmp_path / "ready").read_text():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert out == ("interrupted\n" if number == signal.SIGINT else "")
    child = int((tmp_path / "ready").read_text())
    for _ in range(500):
        if not Path(f"/proc/{child}").exists() or "\nState:\tZ" in Path(f"/proc/{child}/status").read_text():
            break
        time.sleep(0.01)
    else:
        pytest.fail("the child lives on")


DEADLY = """
import os, torch

class Deadly(torch.nn.Module):
    def forward(self, images):
        if (images[:, 0].amin(dim=(1, 2)) > 0.98).any():
            os._exit(7)
        return images.sum(dim=(2, 3))

net = Deadly().eval()
"""


def test_an_image_that_kills_the_process_costs_one_row(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
    from captum_focalogic.study import read_rows

    (tmp_path / "models.py").write_text(DEADLY)
    for number in range(10):
        pixels = np.random.default_rng(number).integers(0, 200, (24, 24, 3), dtype=np.uint8)
        if number == 5:
            pixels[:] = (255, 0, 0)
        (tmp_path / "data").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "data" / f"{number}.png")
    asked = ["study", "data", "--model", "models.py:net", "--segmenter", "grid:2x2", "--out", "run", "--group", "3"]
    repository = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "captum_focalogic", *asked, "--examples", "0", "--no-progress"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the process died with 7; another one goes on") == 4
    rows = read_rows(tmp_path / "run").to_pylist()
    assert [row["index"] for row in rows] == list(range(10))
    assert [row["index"] for row in rows if row["error"] is not None] == [5]
    assert rows[5]["error"].startswith("DeadProcessError: the process died each time")
