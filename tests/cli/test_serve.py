"""``focalogic serve``: from the command line to the page, and what it refuses."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from visitors import Visitor, png

from captum_focalogic.cli import main
from captum_focalogic.demo.scenes import draw_scene

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


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_end_in_the_midst_of_a_search_leaves_nothing(tmp_path, sent):
    """With a search under way, somebody who watches it, a question on its way and an upload that does not end."""
    command = [sys.executable, "-u", "-m", "captum_focalogic", "serve", "--model", "demo", "--segmenter", "grid:5x5"]
    (tmp_path / "tmp").mkdir()
    variables = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        visitor = Visitor(SimpleNamespace(url=process.stdout.readline().split()[1])).enter()
        scene = Image.fromarray((draw_scene(22, label=1).image.transpose(1, 2, 0) * 255).astype(np.uint8))
        assert visitor.opened(png(scene), {"reading": "irreducible", "max_evaluations": 100_000})[0] == 200
        host, port = visitor.host.split(":")
        path = visitor.here.split(visitor.host)[1]
        own = f"Host: {visitor.host}\r\nOrigin: http://{visitor.host}\r\n"
        with (
            socket.create_connection((host, int(port)), timeout=20) as watching,
            socket.create_connection((host, int(port)), timeout=20) as sending,
        ):
            watching.sendall(f"GET {path}/events HTTP/1.1\r\n{own}\r\n".encode())
            sending.sendall(f"POST {path}/ask HTTP/1.1\r\n{own}Content-Length: 99\r\n\r\n[".encode())
            assert b'"searching"' in watching.recv(65536) + watching.recv(65536)
            os.killpg(process.pid, sent)
            _, err = process.communicate(timeout=30)
    assert process.returncode in (0, 130, -sent, 128 + sent)
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert [each.name for each in tmp_path.rglob("*")] == ["tmp"]


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
