"""``focalogic report``, and the flag --report: run in this process, their files read back."""

from pathlib import Path

import numpy as np
import pytest
from makers import run_command
from PIL import Image

from captum_focalogic.focus import Focus


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained")
    assert run_command("explain", "--model", "demo", "--out", folder / "first", "--report", "--no-progress") == 0
    assert run_command("explain", "--model", "demo", "--out", folder / "second", "--seed", 23, "--no-progress") == 0
    return folder


def test_explain_writes_a_report(explained: Path) -> None:
    page = (explained / "first" / "report.html").read_text(encoding="utf-8")
    assert "red disc" in page
    assert f"focalogic explain --model demo --out {explained / 'first'} --report --no-progress" in page
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
    assert run_command("report", explained, "--out", page, "--title", "Both", "--labels", labels, "--truth", masks) == 0
    said = capsys.readouterr()
    assert "note.json is left out" in said.err
    assert "no mask" in said.err
    text = page.read_text(encoding="utf-8")
    assert text.count("data-entry") - text.count("[data-entry]") == 2
    assert "one &amp; only" in text
    assert "<title>Both</title>" in text
    (explained / "note.json").unlink()


def test_one_file_and_the_usual_place(explained: Path) -> None:
    assert run_command("report", explained / "second" / "focus.json") == 0
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
    assert run_command("report", folder) == 2
    assert message in capsys.readouterr().err


def test_a_class_without_a_name_is_an_error(
    explained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.txt").write_text("only one\n")
    assert (
        run_command("report", explained / "first", "--labels", tmp_path / "labels.txt", "--out", tmp_path / "x.html")
        == 2
    )
    assert "names only 1 classes" in capsys.readouterr().err


def test_a_mask_of_another_size_is_an_error(
    explained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (5, 4)).save(tmp_path / "first.png")
    assert run_command("report", explained / "first", "--truth", tmp_path, "--out", tmp_path / "x.html") == 2
    assert "5x4" in capsys.readouterr().err
