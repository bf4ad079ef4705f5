"""The command line of studies: from data to tables and a page, and sentences where it cannot be."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
pytest.importorskip("filelock", reason="needs filelock (the study extra)")

from studies import SIDE, save_images

from captum_focalogic.cli import main
from captum_focalogic.fingerprint import checksum
from captum_focalogic.study import read_rows, read_settings, same_rows

MODEL = """
import numpy as np, torch
labels = ["ant", "bee", "cow"]
def model(images):
    return images.sum(dim=(2, 3))
def halves(image):
    labels = np.ones(image.shape[1:], dtype=np.int64)
    labels[:, image.shape[2] // 2 :] = 2
    labels[image.shape[1] // 2 :] += 2
    return labels
def truth(image, label, name):
    mask = np.zeros(image.shape[1:], dtype=bool)
    mask[:, : image.shape[2] // 2] = True
    return mask
def broken(images):
    raise RuntimeError("no weights")
"""


def call(*arguments: object, code: int = 0) -> None:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    assert left.value.code == code


@pytest.fixture
def data(tmp_path: Path) -> Path:
    save_images(tmp_path / "data", 8)
    (tmp_path / "mine.py").write_text(MODEL)
    return tmp_path


def study(data: Path, out: str = "run", *more: object, code: int = 0) -> Path:
    mine = data / "mine.py"
    call(
        *("study", data / "data", "--model", f"{mine}:model", "--segmenter", f"{mine}:halves", "--out", data / out),
        *("--truth", f"{mine}:truth", "--device", "cpu", "--no-progress", *more),
        code=code,
    )
    return data / out


class Links(HTMLParser):
    """Every address a page mentions, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_study_writes_rows_tables_and_a_page(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = study(data, "run", "--examples", 3)
    rows = read_rows(run).to_pylist()
    assert len(rows) == 8
    assert {row["num_regions"] for row in rows} == {4}
    assert {tuple(row["truth_regions"]) for row in rows} == {(1, 3)}
    assert {(row["id"].split("/")[0], row["label"]) for row in rows} == {("ant", 0), ("bee", 1)}
    printed = capsys.readouterr().out
    assert "class: ant" in printed
    assert "Rows         8 in" in printed
    assert (run / "summary.txt").read_text() in printed
    assert (run / "summary.csv").read_text().startswith("grouping,group,")
    assert r"\toprule" in (run / "summary.tex").read_text()
    page = Links(run / "report.html")
    outside = [link for link in page.addresses if not link.startswith(("data:", "#"))]
    assert len(outside) == 3
    for link in outside:
        assert (run / link).is_file()
    precisions = sorted(row["irreducible_precision"] for row in rows if row["irreducible_precision"] is not None)
    assert f"precision {precisions[0]:.2f}" in page.text
    assert not re.search(r"https?://(?!www\.w3\.org|purl\.org|creativecommons)", (run / "report.html").read_text())
    settings = read_settings(run)
    assert "mine.py" in settings["truth"]
    assert "halves" in settings["segmenter"]


def test_a_second_call_runs_nothing_and_says_the_same(data: Path) -> None:
    run = study(data)
    rows, page = read_rows(run), (run / "report.html").read_text()
    shards = {path: path.stat().st_mtime_ns for path in run.glob("*.parquet")}
    study(data)
    assert shards == {path: path.stat().st_mtime_ns for path in run.glob("*.parquet")}
    assert same_rows(rows, read_rows(run))
    assert (run / "report.html").read_text() == page


def test_other_options_do_not_share_a_folder(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study(data)
    study(data, "run", "--baseline", "white", code=2)
    said = capsys.readouterr().err
    assert "baseline was 'black' and is now 'white'" in said
    assert "Traceback" not in said


def test_broken_images_are_counted(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "data" / "ant" / "002.png").write_bytes(b"")
    run = study(data)
    assert sum(row["error"] is not None for row in read_rows(run).to_pylist()) == 1
    printed = capsys.readouterr().out
    assert "1 of them errors" in printed
    assert "1 x InputError" in printed


def test_masks_in_a_folder(data: Path) -> None:
    for number in range(0, 8, 2):
        mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
        mask[:, SIDE // 2 :] = 255
        path = data / "masks" / "ant" / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
    mine = data / "mine.py"
    call(
        *("study", "run", data / "data", "-m", f"{mine}:model", "-s", "grid:1x2", "-o", data / "run"),
        *("--truth", f"masks:{data / 'masks'}", "--match", "iou:0.9", "--no-progress", "--examples", 0),
    )
    for row in read_rows(data / "run").to_pylist():
        assert row["truth_regions"] == ([2] if row["id"].startswith("ant") else None)


def test_two_studies_are_compared(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = study(data, "black"), study(data, "white", "--baseline", "white")
    capsys.readouterr()
    call("study", "compare", one, other, "--out", data / "compared.csv", "--resamples", 200)
    printed = capsys.readouterr().out
    assert "irreducible precision" in printed
    assert "black" in printed.splitlines()[0]
    assert (data / "compared.csv").read_text().startswith("column,pairs,first,second")


def test_a_study_is_summarised_again(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = study(data)
    settings = json.loads((run / "settings.json").read_text())
    settings["images"], settings["checksums"]["images"] = 20, checksum(20)
    (run / "settings.json").write_text(json.dumps(settings))
    (run / "summary.txt").unlink()
    capsys.readouterr()
    call("study", "summary", run)
    printed = capsys.readouterr()
    assert "irreducible states" in printed.out
    assert "about 8 of 20 images" in printed.err
    assert (run / "summary.txt").exists()


VIT = """
import torch
from torchvision.models.vision_transformer import VisionTransformer
torch.manual_seed(1)
vit = VisionTransformer(24, 4, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16, num_classes=3).eval()
torch.nn.init.normal_(vit.heads.head.weight)
"""


def test_patches_are_left_out(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torchvision")
    (data / "vit.py").write_text(VIT)
    run = data / "tokens"
    asked = ("study", data / "data", "--segmenter", "grid:2x3", "--removal", "tokens", "--device", "cpu")
    call(*asked, "--model", f"{data / 'vit.py'}:vit", "--truth", f"{data / 'mine.py'}:truth", "--out", run)
    settings = read_settings(run)
    assert (settings["removal"], settings["baseline"]) == ("tokens", None)
    rows = read_rows(run).to_pylist()
    assert {row["removal"] for row in rows} == {"tokens"}
    assert not any(row["error"] for row in rows)
    assert "removal" in Links(run / "report.html").text
    reports = [Links(page).text for page in (run / "examples").glob("*.html")]
    assert reports
    assert all("tokens, no fill" in text for text in reports)
    assert not any("black" in text for text in reports)
    capsys.readouterr()
    call(*asked, "--model", f"{data / 'mine.py'}:model", "--out", data / "none", code=2)
    assert "--removal tokens needs the module" in capsys.readouterr().err
    assert not (data / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no data 'nowhere'"),
        (["scenes:x"], "scenes:NUMBER needs a number"),
        (["scenes:2", "--truth", "moon"], "unknown ground truth 'moon'"),
        (["scenes:2", "--truth", "masks:nowhere"], "there is no folder nowhere"),
        (["scenes:2", "--truth", "grounded-sam:nowhere/at-all"], "nowhere/at-all"),
        (["scenes:2", "--match", "iou:3"], "above 0 and up to 1"),
        (["scenes:2", "--segmenter", "{}/mine.py:nothing"], "no function 'nothing'"),
        (["scenes:20", "--model", "{}/mine.py:broken"], "model failed on each of"),
        (["compare", "nowhere", "nowhere"], "there is no study in nowhere"),
        (["summary", "nowhere"], "there is no study in nowhere"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    data: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [] if arguments[0] in ("compare", "summary") else ["--out", data / "out", "--no-progress"]
    filled = [argument.format(data) for argument in arguments]
    call("study", *filled, *options, code=2)
    printed = capsys.readouterr().err
    assert said in printed
    assert "Traceback" not in printed


def test_help_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["run", "--help"], ["compare", "--help"], ["summary", "--help"]):
        call("study", *arguments)
        assert "Usage: focalogic study" in capsys.readouterr().out
