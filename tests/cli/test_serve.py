"""``focalogic serve``: from the command line to the page, and what it refuses."""

import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from captum_focalogic.cli import main

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


def test_the_page_of_a_model_until_it_is_interrupted(tmp_path):
    command = [sys.executable, "-u", "-m", "captum_focalogic", "serve", "--model", "demo", "--segmenter", "grid:3x3"]
    # A terminal's Ctrl-C reaches the process group of the command.
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        url = process.stdout.readline().split()[1]
        try:
            assert url.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(url) as answer:
                page = answer.read().decode()
            assert "Drop an image here" in page
            assert "<option selected>demo</option>" in page
        finally:
            os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) in (0, 130)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "demo", "--host", "0.0.0.0"], "lets other machines in"),
        (["--model", "demo", "--segmenter", "magic"], "unknown segmenter 'magic'"),
        (["--model", "demo", "--baseline", "pinkish"], "pinkish"),
        (["--model", "demo", "--model", "unicorn"], "unicorn"),
        (["missing.png", "--model", "demo"], "missing.png"),
        (["--model", "demo", "--device", "abacus"], "abacus"),
    ],
)
def test_what_is_refused(options, message, capsys):
    with pytest.raises(SystemExit) as left:
        main(["serve", *options])
    assert left.value.code == 2
    assert message in capsys.readouterr().err
