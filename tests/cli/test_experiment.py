"""``focalogic experiment``: dry runs of both sizes with nothing loaded, and options that do not fit."""

from pathlib import Path

import pytest
from makers import run_command

EMBEDDED = {
    "stability": ["own regions:", "grid 3x3:", "count the regions"],
    "efficiency": ["6 regions, beam 1:", "12 regions, off:", "30 regions, beam 5 a level:"],
    "mllm": ["random, Frugal:", "random, HittingSets:"],
    "baselines": ["own budget:", "equal budget:", "bare function:"],
}


IMAGENET = {
    "stability": ["sam vit_h:", "sam vit_h, 9 points:", "grid 3x3:"],
    "efficiency": ["12 regions, off:"],
    "mllm": ["chat Qwen-Qwen2-VL-2B-Instruct:"],
    "baselines": ["own budget:", "equal budget:"],
}


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_embedded_size(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("experiment", name, "--dry-run", "--images", 12, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    for condition in EMBEDDED[name]:
        assert condition in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", IMAGENET)
def test_the_imagenet_size_needs_neither_data_nor_weights(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--size", "imagenet", "--data", tmp_path / "nowhere", "--dry-run", "--out", tmp_path / "out")
    assert run_command("experiment", name, *arguments) == 0
    said = capsys.readouterr().out
    for condition in IMAGENET[name]:
        assert condition in said
    assert not (tmp_path / "out").exists()


def test_models_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = ("--model", "openai:gpt-4o@cat,dog", "--model", "chat:Qwen/Qwen2-VL-2B-Instruct")
    assert run_command("experiment", "mllm", "--size", "imagenet", "--data", tmp_path, *models, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "openai gpt-4o:" in said
    assert "the labels after the @" in said
    assert "the folder's classes" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "somewhere"], "--data and --model belong to --size imagenet"),
        (["--model", "demo"], "--data and --model belong to --size imagenet"),
        (["--size", "imagenet"], "--size imagenet needs --data"),
    ],
)
def test_options_of_the_other_size_are_refused(options, message, run) -> None:
    assert message in run("experiment", "stability", *options, "--dry-run", code=2)[1]
