"""What a page says of how to find the same: its commands and lines are run, and find it."""

import html
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from makers import run_command
from PIL import Image
from visitors import Visitor, png

from captum_focalogic import explain_image, serve
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.focus import Focus

MODELS = '''
import torch

labels = ["dull", "red", "green"]


def redness(images):
    """"red" where both upper quarters are red enough."""
    half = images.shape[-1] // 2
    left, right = images[:, 0, :half, :half].mean((1, 2)), images[:, 0, :half, half:].mean((1, 2))
    return torch.stack([torch.zeros_like(left) + 0.4, 4 * torch.minimum(left, right), left * 0], dim=1)


def left(images):
    seen = images[..., : images.shape[-1] // 2]
    return torch.stack([seen[:, 0] * 0 + 0.4, 2 * seen[:, 0], seen[:, 1]], dim=1).mean((2, 3))


class Leaves:
    """Looks at what is kept alone."""

    def __call__(self, images):
        return self.forward_masked(images, images[:, 0] * 0 == 0)

    def forward_masked(self, images, kept):
        shown = (images[:, 0] * kept).sum((1, 2)) / kept.sum((1, 2)).clamp(min=1)
        return torch.stack([shown * 0 + 0.4, shown, shown * 0], dim=1)


leaves = Leaves()
'''


def reddish() -> Image.Image:
    pixels = np.zeros((32, 32, 3), dtype=np.uint8)
    pixels[:16] = (250, 30, 20)
    pixels[20:, 4:] = (120, 90, 60)
    return Image.fromarray(pixels)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where somebody works: photos, and a module of models."""
    scene = (draw_scene(22, label=1).image.transpose(1, 2, 0) * 255).astype(np.uint8)
    Image.fromarray(scene).save(tmp_path / "a scene.png")
    reddish().save(tmp_path / "-red 'n' $(dull).png")
    (tmp_path / "models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def halves(image):
    """Regions that have no name."""
    return 3 + (torch.arange(image.shape[2]) >= image.shape[2] // 2).long().expand(image.shape[1:]) * 4


def open_again(visitor: Visitor, chosen: dict) -> None:
    status, said = visitor.post("/again", chosen)
    assert status == 200, said
    visitor.here = f"http://{visitor.host}{said['location']}"


def same(one: Focus, other: Focus) -> bool:
    """Whether both found the same, in the same regions, level by level."""
    levels = [
        [] if each.zoom is None else [level.region_sets() for level in [each, *([each.zoomed] if each.zoomed else [])]]
        for each in (one, other)
    ]
    return (
        one.region_sets() == other.region_sets()
        and one.formula == other.formula
        and one.target == other.target
        and one.provenance.baseline == other.provenance.baseline
        and one.provenance.removal == other.provenance.removal
        and one.provenance.criterion == other.provenance.criterion
        and levels[0] == levels[1]
    )


SCENE = {"image": "a scene.png", "model": "demo", "segmenter": "grid:3x3", "baseline": "black"}
RED = {"image": "-red 'n' $(dull).png", "segmenter": ["grid:2x2", "grid:4x4"], "baseline": ["mean", "black"]}
CASES = {
    "usual": (SCENE, {}),
    "zoom": (SCENE, {"zoom": 2}),
    "against": (SCENE, {"against": "yellow ring and purple cross"}),
    "otherwise": (SCENE, {"reading": "minimal", "criterion": "top1", "max_evaluations": 300}),
    "another class": (RED | {"model": "models.py:redness"}, {"target": "dull", "criterion": "top1"}),
    "another fill": (RED | {"model": "models.py:redness"}, {"segmenter": "grid:4x4", "baseline": "black"}),
    "left out": (RED | {"model": "models.py:leaves", "removal": ["fill", "tokens"]}, {"removal": "tokens"}),
    "regions of one's own": (
        RED | {"model": "models.py:redness", "segmenter": {"halves": halves}, "baseline": "black"},
        {},
    ),
}


def found_on(visitor: Visitor, folder) -> tuple[Focus, list[str], list[str]]:
    """What the page found, and its commands and lines; what it offers to save is saved."""
    last = visitor.events()[-1]
    text = html.unescape(visitor.get()[1])
    assert last["state"] == "done", text[-3000:]
    for name in ("focus.json", "labels.png"):
        with (folder / name).open("wb") as file:
            file.write(_bytes(f"{visitor.here}/save/{name}"))
    commands = re.findall(r"<pre><code>(focalogic explain .*?)</code>", text, re.DOTALL)
    lines = re.findall(r"<code>(from captum_focalogic import .*?)</code>", text, re.DOTALL)
    return Focus.load(folder / "focus.json"), commands, lines


def _bytes(address: str) -> bytes:
    import urllib.request

    with urllib.request.urlopen(address) as answer:
        return answer.read()


def by_command(command: str, folder) -> Focus:
    words = shlex.split(command)
    assert words[:2] == ["focalogic", "explain"]
    assert run_command(*words[1:], "--out", str(folder / "out"), "--no-progress") == 0
    return Focus.load(folder / "out" / "focus.json")


def by_lines(lines: str) -> Focus:
    scope: dict[str, object] = {}
    exec(lines.replace("print(", "answer = ("), scope)
    return scope["answer"].focus


@contextmanager
def looking_at(name: str) -> Iterator[Visitor]:
    """Somebody who looks at a case, with what was chosen for it on the page."""
    how, chosen = CASES[name]
    how = dict(how)
    page = serve(how.pop("model"), how.pop("image"), **how)
    try:
        visitor = Visitor(page).enter()
        if chosen:
            visitor.events()
            open_again(visitor, chosen)
        yield visitor
    finally:
        page.stop()


@pytest.mark.parametrize("name", CASES)
def test_commands_and_lines_find_what_is_on_the_screen(folder, name):
    with looking_at(name) as visitor:
        found, commands, lines = found_on(visitor, folder)
    assert found.final_states.any() or name == "another class"
    for command in commands:
        assert same(by_command(command, folder), found), command
    assert same(by_lines(lines[0]), found), lines[0]
    assert commands


def test_an_image_that_was_sent_and_a_model_beside(folder):
    """Files are those of the person's own computer, by the name that they had there."""
    page = serve(
        {"models.py:redness": "models.py:redness", "models.py:left": "models.py:left"},
        segmenter="grid:2x2",
        baseline="black",
    )
    try:
        visitor = Visitor(page).enter()
        assert visitor.opened(png(reddish()), title="-red 'n' $(dull).png")[0] == 200
        alone, commands, lines = found_on(visitor, folder)
        for command in commands:
            assert same(by_command(command, folder), alone)
        assert same(by_lines(lines[0]), alone)
        status, said = visitor.post("/beside", {"model": "models.py:left"})
        assert status == 200
        visitor.here = f"http://{visitor.host}{said['location']}"
        first, commands, lines = found_on(visitor, folder)
        addresses = re.findall(r'data-asks="(.*?)"', visitor.get()[1])
        second = Focus.from_json(_bytes(f"http://{visitor.host}{addresses[1]}/save/focus.json").decode())
    finally:
        page.stop()
    assert len(lines) == 2
    for number, found in enumerate((first, second)):
        assert same(by_lines(lines[number]), found), lines[number]
    again = [by_command(command, folder) for command in dict.fromkeys(commands)]
    assert len(again) == 2
    assert same(again[0], first)
    assert same(again[1], second)
    assert not same(again[0], second)


def opened_by(command: str, folder) -> Focus:
    """What the page finds that a command opens."""
    words = shlex.split(command)
    assert words[:2] == ["focalogic", "serve"]
    run = [sys.executable, "-u", "-m", "captum_focalogic", *words[1:]]
    with subprocess.Popen(run, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            visitor = Visitor(SimpleNamespace(url=process.stdout.readline().split()[1])).enter()
            assert visitor.events()[-1]["state"] == "done"
            return Focus.from_json(visitor.get("/save/focus.json")[1])
        finally:
            os.killpg(process.pid, signal.SIGINT)


@pytest.mark.parametrize("name", ["zoom", "against", "another fill", "left out"])
def test_what_is_saved_says_how_it_is_opened_alive_again(folder, name):
    with looking_at(name) as visitor:
        found, _, _ = found_on(visitor, folder)
        static = html.unescape(visitor.get("/save/report.html")[1])
    (command,) = re.findall(r"<code>(focalogic serve .*?)</code>", static)
    assert same(opened_by(command, folder), found), command


def test_a_report_says_how_its_case_is_opened_alive(folder):
    given = ["a scene.png", "--model", "demo", "--segmenter", "grid:3x3", "--baseline", "black", "--reading", "minimal"]
    assert run_command("explain", *given, "--report", "--out", "out", "--no-progress") == 0
    static = html.unescape((folder / "out" / "report.html").read_text())
    (command,) = re.findall(r"<code>(focalogic serve .*?)</code>", static)
    assert same(opened_by(command, folder), Focus.load(folder / "out" / "focus.json"))
    # What the live page does not take, it is not said to.
    for further in (["--time-limit", "60"], ["--mask", "out/labels.png"], ["--max-evaluations", "0"]):
        kept = given if "--mask" not in further else [*given[:3], *given[5:]]
        assert run_command("explain", *kept, *further, "--report", "--out", "other", "--no-progress") == 0
        static = (folder / "other" / "report.html").read_text()
        assert "<code>focalogic serve IMAGE --model MODEL</code>" in static


def test_an_answer_is_opened_alive_as_it_was_asked(folder):
    answer = explain_image(
        "models.py:redness", "-red 'n' $(dull).png", segmenter="grid:4x4", baseline="black", against="green"
    )
    page = answer.serve("models.py:redness")
    try:
        visitor = Visitor(page).enter()
        assert visitor.events()[-1]["state"] == "done"
        assert same(Focus.from_json(visitor.get("/save/focus.json")[1]), answer.focus)
    finally:
        page.stop()
