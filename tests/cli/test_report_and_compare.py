"""The commands report and compare, and the flag --report: run in this process, their files read back."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from captum_focalogic.cli import app, main
from captum_focalogic.cli.output import command_text
from captum_focalogic.compare import METHODS
from captum_focalogic.focus import Focus


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained")
    assert run("explain", "--out", folder / "first", "--report", "--no-progress") == 0
    assert run("explain", "--out", folder / "second", "--seed", 23, "--no-progress") == 0
    return folder


def test_explain_writes_a_report(explained: Path) -> None:
    page = (explained / "first" / "report.html").read_text(encoding="utf-8")
    assert "red disc" in page
    assert f"focalogic explain --out {explained / 'first'} --report --no-progress" in page
    assert "Precision" in page, "the truth of an embedded scene is known"
    assert not (explained / "second" / "report.html").exists()


def test_a_folder_of_explanations_becomes_one_page(
    explained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (explained / "note.json").write_text("{}")
    focus = Focus.load(explained / "first" / "focus.json")
    masks = tmp_path / "masks"
    masks.mkdir()
    Image.fromarray(np.where(focus.label_map == 1, 255, 0).astype(np.uint8)).save(masks / "first.png")
    labels = tmp_path / "labels.txt"
    labels.write_text("other\none & only\ntwo\n")
    page = tmp_path / "page.html"
    assert run("report", explained, "--out", page, "--title", "Both", "--labels", labels, "--truth", masks) == 0
    said = capsys.readouterr()
    assert "note.json is left out" in said.err
    assert "no mask" in said.err
    text = page.read_text(encoding="utf-8")
    assert text.count("data-entry") - text.count("[data-entry]") == 2
    assert "one &amp; only" in text
    assert "<title>Both</title>" in text
    (explained / "note.json").unlink()


def test_one_file_and_the_usual_place(explained: Path) -> None:
    assert run("report", explained / "second" / "focus.json") == 0
    assert (explained / "second" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "there is no folder"), ("", "no explanation in"), ('{"format": "captum-focalogic/focus/1"}', "missing")],
)
def test_report_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    folder = tmp_path / "here"
    if content is not None:
        folder.mkdir()
    if content:
        (folder / "focus.json").write_text(content)
    assert run("report", folder) == 2
    assert message in capsys.readouterr().err


def test_a_class_without_a_name_is_an_error(
    explained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.txt").write_text("only one\n")
    assert run("report", explained / "first", "--labels", tmp_path / "labels.txt", "--out", tmp_path / "x.html") == 2
    assert "names only 1 classes" in capsys.readouterr().err


def test_a_mask_of_another_size_is_an_error(
    explained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (5, 4)).save(tmp_path / "first.png")
    assert run("report", explained / "first", "--truth", tmp_path, "--out", tmp_path / "x.html") == 2
    assert "5x4" in capsys.readouterr().err


def test_compare_the_embedded_scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = "FocaLogic, GradCAM, FeatureAblation, ReX"
    assert run("compare", "--methods", methods, "--equal-budget", "--report", "--out", tmp_path) == 0
    said = capsys.readouterr().out
    assert "exact rule" in said
    assert "ReX was skipped" in said
    stored = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    by_name = {method["name"]: method for method in stored["methods"]}
    assert set(by_name) == {"FocaLogic", "GradCAM", "FeatureAblation"}
    assert by_name["FocaLogic"]["measures"]["rule_exact"] == 1
    assert by_name["FocaLogic"]["measures"]["stability"] is None
    assert stored["equal_budget"] == by_name["FocaLogic"]["measures"]["evaluations"]
    with Image.open(tmp_path / "comparison.png") as image:
        assert image.width > 500
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Beside other methods" in page
    assert "GradCAM" in page
    assert "focalogic compare --methods &#39;FocaLogic, GradCAM" in page
    assert Focus.load(tmp_path / "focus.json").names[1] == "red disc"


def test_compare_a_picture_with_a_function(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n\ndef dark(images):\n    light = images.mean(dim=(1, 2, 3))\n"
        "    return torch.stack([light, 1 - light], dim=1)\n"
    )
    Image.new("RGB", (32, 24), (30, 30, 200)).save(tmp_path / "blue.png")
    Image.new("L", (32, 24), 255).save(tmp_path / "mask.png")
    code = run(
        "compare", tmp_path / "blue.png", "--model", f"{tmp_path / 'mine.py'}:dark", "--segmenter", "grid:2x2",
        "--methods", "FocaLogic,IntegratedGradients,Occlusion", "--budget", 50, "--truth", tmp_path / "mask.png",
        "--format", "svg", "--out", tmp_path / "out",
    )  # fmt: skip
    said = capsys.readouterr().out
    assert code == 0
    assert "black box" in said
    assert "50 each" in said
    assert (tmp_path / "out" / "comparison.svg").read_text().startswith("<?xml")


def test_methods_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compare", "--methods", "list") == 0
    said = capsys.readouterr().out
    assert all(name in said for name in METHODS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--methods", "Magic"], "unknown method"),
        (["--methods", "RISE", "--report"], "add FocaLogic"),
        (["--methods", "RISE", "--equal-budget"], "name a number"),
        (["--layer", "nowhere", "--methods", "GradCAM"], "no layer"),
        (["--truth", "missing.png"], "missing.png"),
    ],
)
def test_compare_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert run("compare", "--out", tmp_path, *options) == 2
    assert message in capsys.readouterr().err


def test_the_command_line_is_what_differs_from_the_usual() -> None:
    command = typer.main.get_command(app).commands["explain"]
    given = ["a b.png", "--report", "-o", "x", "--seed", "3", "--max-evaluations", "0", "--no-progress"]
    text = command_text(command.make_context("focalogic explain", given))
    assert text == "focalogic explain 'a b.png' --max-evaluations 0 --out x --seed 3 --report --no-progress"
