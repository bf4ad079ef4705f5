"""What commands print of themselves."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from captum_focalogic.cli import app
from captum_focalogic.cli.output import command_text
from captum_focalogic.focus import Focus


def test_the_command_line_is_what_differs_from_the_usual() -> None:
    command = typer.main.get_command(app).commands["explain"]
    given = ["a b.png", "--report", "-o", "x", "--seed", "3", "--max-evaluations", "0", "--no-progress"]
    text = command_text(command.make_context("focalogic explain", given))
    assert text == "focalogic explain 'a b.png' --max-evaluations 0 --out x --seed 3 --report --no-progress"


NAMES = (b"no\xffutf8.png", b"esc\x1b[2J\x1b]0;x\x07.png", b"new\nline\rback.png", "Löwe ∧ \u202egnp.png".encode())


def run_in_ascii(*arguments: str | bytes, folder: Path) -> tuple[int, bytes]:
    """What a command exits with and writes on a terminal that knows ASCII alone."""
    terminal = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "captum_focalogic", *arguments]
    done = subprocess.run(command, cwd=folder, env=terminal, capture_output=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def images(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "plain.png")
    content = (tmp_path / "plain.png").read_bytes()
    (tmp_path / "images").mkdir()
    for name in NAMES:
        try:
            with open(os.path.join(os.fsencode(tmp_path / "images"), name), "wb") as file:
                file.write(content)
        except OSError:
            pytest.skip("this file system has names in UTF-8 only")
    return tmp_path


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_hostile_file_name_costs_nothing_and_commands_nothing(images: Path, name: bytes) -> None:
    asked = ["--segmenter", "grid:2x2", "--max-evaluations", "40", "--out", "out", "--report", "--no-progress"]
    code, said = run_in_ascii("explain", b"images/" + name, "--model", "demo", *asked, folder=images)
    assert code == 0, said
    assert said.isascii()
    assert not {*said} & ({*range(32)} - {*b"\n"})
    assert (images / "out/report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert Focus.load(images / "out/focus.json").final_states is not None


def test_a_study_of_hostile_file_names_has_a_row_for_each(images: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
    asked = ["--model", "demo", "--segmenter", "grid:2x2", "--max-evaluations", "40", "--out", "run", "--no-progress"]
    code, said = run_in_ascii("study", "images", *asked, folder=images)
    assert code == 0, said
    assert said.isascii()
    assert not {*said} & ({*range(32)} - {*b"\n"})
    from captum_focalogic.study.store import read_rows

    rows = read_rows(images / "run").to_pylist()
    assert len({row["id"] for row in rows}) == len(NAMES)
    assert not any(row["error"] for row in rows)
