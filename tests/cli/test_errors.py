"""The command line on bad input: one sentence on standard error, the right exit code, never a traceback of ours."""

import subprocess
import sys
import traceback

import numpy as np
import pytest
from PIL import Image

from captum_focalogic.cli import main
from captum_focalogic.cli.errors import say

MODULE = """
import torch


def raises(images):
    raise RuntimeError("out of ideas\\nsecond line")


def raises_as_we_do(images):
    raise ValueError("no such thing")


class Tired(torch.nn.Module):
    # answers whole images, and nothing with a black pixel

    def forward(self, images):
        if (images == 0).any():
            raise RuntimeError("tired")
        return images.mean((2, 3))


def tired():
    return Tired()


def one_number(images):
    return images.sum()


def no_row(images):
    return torch.zeros(7, 3)


def nan(images):
    return torch.full((len(images), 3), float("nan"))


def text(images):
    return "cat"


def pixels(images):
    return images


def fails_to_load():
    raise OSError("disk on fire")


def makes_a_number():
    return 5


number = 3


def good(images):
    return images.mean((2, 3))
"""


NAN_PREPROCESS = """

def preprocess(image):
    return torch.full((3, 8, 8), float("nan"))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with everything that can be wrong."""
    folder = tmp_path_factory.mktemp("bad")
    rough = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(rough).resize((60, 40), Image.Resampling.BICUBIC))
    Image.fromarray(pixels).save(folder / "good.png")
    Image.fromarray(pixels).save(folder / "good.jpg", quality=95)
    (folder / "text.png").write_text("this is no image")
    (folder / "cut.jpg").write_bytes((folder / "good.jpg").read_bytes()[:-900])
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:-1000])
    (folder / "empty.png").write_bytes(b"")
    (folder / "models.py").write_text(MODULE)
    (folder / "nan.py").write_text(MODULE + NAN_PREPROCESS)
    (folder / "syntax.py").write_text("def broken(:\n")
    Image.new("L", (10, 12)).save(folder / "small_mask.png")
    Image.new("RGB", (60, 40)).save(folder / "colour_mask.png")
    np.save(folder / "no_regions.npy", np.zeros((0, 0), dtype=int))
    (folder / "focus.json").write_text('{"format": "something else"}')
    return folder


CASES = {
    "no such image": (["explain", "--model", "demo", "missing.png"], "missing.png cannot be read"),
    "no image": (["explain", "--model", "demo", "text.png"], "text.png is no image that can be read"),
    "empty file": (["explain", "--model", "demo", "empty.png"], "empty.png is no image that can be read"),
    "truncated JPEG": (["explain", "--model", "demo", "cut.jpg"], "cut.jpg cannot be read: "),
    "truncated PNG": (["explain", "--model", "demo", "cut.png"], "cut.png cannot be read: "),
    "a folder": (["explain", "--model", "demo", "."], "cannot be read"),
    "mask of another size": (
        ["explain", "--model", "demo", "good.png", "--mask", "small_mask.png"],
        "is 10x12 pixels (width x height); expected 60x40 (the image's size) or 96x96 (what the model sees)",
    ),
    "mask of another size than the scene": (
        ["explain", "--model", "demo", "--mask", "small_mask.png"],
        "expected 96x96",
    ),
    "mask in colour": (["explain", "--model", "demo", "good.png", "--mask", "colour_mask.png"], "is a colour image"),
    "mask without pixels": (["explain", "--model", "demo", "good.png", "--mask", "no_regions.npy"], "has no pixels"),
    "mask that is missing": (
        ["explain", "--model", "demo", "good.png", "--mask", "missing.png"],
        "missing.png cannot be read",
    ),
    "two ways to cut": (
        ["explain", "--model", "demo", "--mask", "small_mask.png", "--segmenter", "slic"],
        "give one of them",
    ),
    "no regions": (["explain", "--model", "demo", "--segmenter", "slic:0"], "n_segments must be at least 1; got 0"),
    "no cells": (["explain", "--model", "demo", "--segmenter", "grid:0x3"], "at least 1 row"),
    "more cells than pixels": (
        ["explain", "--model", "demo", "--segmenter", "grid:200x3"],
        "does not fit an image of 96x96 pixels",
    ),
    "NaN in the input": (["explain", "good.png", "--model", "nan.py:good"], "[nan, nan]"),
    "model that raises": (
        ["explain", "good.png", "--model", "models.py:raises"],
        "the model models.py:raises raised RuntimeError: out of ideas",
    ),
    "model that raises an error we know": (
        ["explain", "good.png", "--model", "models.py:raises_as_we_do"],
        "raised ValueError: no such thing",
    ),
    "module that raises later on": (
        ["compare", "good.png", "--model", "models.py:tired", "--methods", "FocaLogic"],
        "the model models.py:tired raised RuntimeError: tired",
    ),
    "model with other rows": (["explain", "good.png", "--model", "models.py:no_row"], "(7, 3) for 1 input(s)"),
    "model that answers NaN": (["explain", "good.png", "--model", "models.py:nan"], "holds NaN"),
    "model that answers text": (["explain", "good.png", "--model", "models.py:text"], "got str"),
    "model that answers an image": (["explain", "good.png", "--model", "models.py:pixels"], "need a target"),
    "model that fails to load": (
        ["explain", "good.png", "--model", "models.py:fails_to_load"],
        "OSError: disk on fire",
    ),
    "model that is made a number": (["explain", "good.png", "--model", "models.py:makes_a_number"], "returned a int"),
    "model that is a number": (["explain", "good.png", "--model", "models.py:number"], "is a int; expected a model"),
    "model that is not there": (["explain", "good.png", "--model", "models.py:nobody"], "has no 'nobody'; it has"),
    "module that is not there": (["explain", "good.png", "--model", "missing.py:load"], "there is no file missing.py"),
    "module with a mistake": (["explain", "good.png", "--model", "syntax.py:load"], "failed to load, SyntaxError"),
    "unknown model": (["explain", "--model", "vgg"], "unknown model 'vgg'; choose demo"),
    "unknown network": (["explain", "--model", "torchvision:resnet17"], "did you mean"),
    "model without an example": (["explain", "--model", "models.py:good"], "has no example of its own"),
    "weights for what has none": (["explain", "--model", "cascade:face", "--weights", "x"], "no neural network"),
    "weights for a function": (
        ["explain", "good.png", "--model", "models.py:good", "--weights", "x"],
        "--weights needs an nn.Module",
    ),
    "weights that are none": (["explain", "--model", "demo", "--weights", "text.png"], "text.png cannot be read"),
    "target out of range": (["explain", "--model", "demo", "--target", "7"], "target 7 is out of range"),
    "unknown option": (["explain", "--model", "demo", "--frobnicate"], "--frobnicate"),  # typer's words change
    "unknown command": (["explian"], "No such command 'explian'"),
    "missing argument": (["segment"], "Missing argument 'IMAGE'"),
    "option without value": (["segment", "good.png", "--model"], "--model"),
    "value of another type": (["explain", "--model", "demo", "--target", "cat"], "--target"),
    "unknown segmenter": (
        ["explain", "--model", "demo", "--segmenter", "magic"],
        "unknown segmenter 'magic'; choose slic",
    ),
    "segmenter without its weights": (
        ["explain", "--model", "demo", "--segmenter", "sam:missing.pth"],
        "missing.pth cannot be read",
    ),
    "unknown baseline": (
        ["explain", "--model", "demo", "--baseline", "magic"],
        "unknown baseline 'magic'; choose mean",
    ),
    "unknown criterion": (
        ["explain", "--model", "demo", "--criterion", "magic"],
        "unknown criterion 'magic'; choose top1",
    ),
    "unknown search": (["explain", "--model", "demo", "--search", "magic"], "unknown search 'magic'; choose auto"),
    "search that cannot": (
        ["explain", "--model", "demo", "--search", "ascending", "--reading", "irreducible"],
        "--reading minimal",
    ),
    "unknown reading": (["explain", "--model", "demo", "--reading", "magic"], "irreducible"),
    "unknown device": (["explain", "--model", "demo", "--device", "abacus"], "no device 'abacus'"),
    "batch of nothing": (["explain", "--model", "demo", "--batch", "0"], "--batch must be auto or a number of images"),
    "no time": (["explain", "--model", "demo", "--time-limit", "0"], "time_limit must be a positive number"),
    "negative seed": (["explain", "--model", "demo", "--seed", "-1"], "--seed"),
    "folder that cannot be": (["explain", "--model", "demo", "--out", "good.png/sub"], "cannot be made"),
    "segment without an image": (["segment", "text.png"], "text.png is no image"),
    "verify without a focus": (["verify", "missing.json"], "missing.json cannot be read"),
    "verify with something else": (["verify", "text.png"], "JSON"),
    "verify with another format": (["verify", "focus.json"], "captum-focalogic/focus/1"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence_and_exit_code_2(case, files, monkeypatch, capsys, tmp_path):
    arguments, sentence = CASES[case]
    monkeypatch.chdir(files)
    if arguments[0] == "explain" and "--out" not in arguments:
        arguments = [*arguments, "--out", str(tmp_path), "--no-progress"]
    with pytest.raises(SystemExit) as left:
        main(arguments)
    out, err = capsys.readouterr()
    assert left.value.code == 2
    assert sentence in err
    assert err.startswith("focalogic: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert out == ""
    assert not (tmp_path / "focus.json").exists()


@pytest.mark.parametrize("case", ["truncated JPEG", "model that raises", "unknown option"])
def test_the_same_in_a_process_of_its_own(case, files, tmp_path):
    arguments, sentence = CASES[case]
    done = subprocess.run(
        [sys.executable, "-c", "from captum_focalogic.cli import main; main()", *arguments],
        cwd=files,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_traceback_shows_where_the_model_failed(files, monkeypatch, tmp_path):
    monkeypatch.chdir(files)
    with pytest.raises(Exception, match="out of ideas") as raised:
        main(["explain", "good.png", "--model", "models.py:raises", "--out", str(tmp_path), "--traceback"])
    assert isinstance(raised.value.__cause__, RuntimeError)
    frames = traceback.extract_tb(raised.value.__cause__.__traceback__)
    assert any(frame.filename.endswith("models.py") for frame in frames)


def test_our_own_mistakes_are_called_so(monkeypatch, capsys, tmp_path):
    def mistaken(*args, **kwargs):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(sys.modules["captum_focalogic.cli.explain"], "write_files", mistaken)
    with pytest.raises(SystemExit) as left:
        main(["explain", "--model", "demo", "--out", str(tmp_path), "--no-progress", "--reading", "smallest"])
    assert left.value.code == 1
    assert capsys.readouterr().err == (
        "focalogic: internal error, ZeroDivisionError: division by zero; --traceback shows where\n"
    )


def test_a_model_of_whole_batches_is_asked_for_one_image_at_a_time(files, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(files)
    with pytest.raises(SystemExit) as left:
        main(["explain", "good.png", "--model", "models.py:one_number", "--out", str(tmp_path), "--no-progress"])
    assert left.value.code == 0
    assert "(positive)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "allow more with max_evaluations= or time_limit=, or less",
            "allow more with --max-evaluations or --time-limit, or less",
        ),
        ("pass another one as baselines=", "pass another one as --baseline"),
        ("Use removal='fill'", "Use --removal fill"),
        ("pass labels=; f(target=3) is x=1", "pass labels=; f(target=3) is x=1"),
        ("a\x1b[2Jb\nc", "a\\x1b[2Jb c"),
    ],
)
def test_messages_speak_of_options_and_obey_no_terminal(message, said, capsys):
    say(message)
    assert capsys.readouterr().err == f"focalogic: {said}\n"
