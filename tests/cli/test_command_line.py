"""The command line on good input: what it prints, what it writes, and that both are true."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from captum_focalogic import FocaLogic, Focus
from captum_focalogic.cli import app, main
from captum_focalogic.demo.check import check_scene
from captum_focalogic.demo.network import load_model
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.integrations.segment_anything import SamSegmenter
from captum_focalogic.logic import equivalent
from captum_focalogic.segmenters import Grid

MODULE = """
import torch
from torch import nn

labels = ["dark", "red", "green"]


class Redness(nn.Module):
    # "red" where both upper quarters are red enough.
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(4.0))

    def forward(self, images):
        half = images.shape[-1] // 2
        left = images[:, 0, :half, :half].mean((1, 2))
        right = images[:, 0, :half, half:].mean((1, 2))
        red = self.weight * torch.minimum(left, right) - 1
        return torch.stack([torch.zeros_like(red), red, torch.full_like(red, -9.0)], dim=1)


network = Redness()


def load(pretrained=True):
    return Redness()


def scores(images):
    return network(images)
"""


BLACK = ("--baseline", "black")
"""An image of one colour has no other mean."""

HALVES = ("--segmenter", "grid:2x2", *BLACK)


@pytest.fixture
def module(tmp_path):
    (tmp_path / "models.py").write_text(MODULE)
    return tmp_path / "models.py"


@pytest.fixture
def red(tmp_path):
    """A red image of 32x32 pixels."""
    path = tmp_path / "red.png"
    Image.new("RGB", (32, 32), (255, 0, 0)).save(path)
    return path


def run(capsys, *arguments, code=0):
    """Standard output and standard error of a run that leaves with this code."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert left.value.code == code, err
    return out, err


def line_of(out, label):
    """What is said behind a label."""
    return next(line[13:] for line in out.splitlines() if line.startswith(label))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """``focalogic explain`` without arguments, but for the folder."""
    folder = tmp_path_factory.mktemp("demo")
    result = CliRunner().invoke(app, ["explain", "--out", str(folder), "--no-progress"])
    assert result.exit_code == 0, result.output
    return result.stdout, folder


def test_demo_prints_what_brute_force_finds_and_compares_it_with_the_rule(demo):
    out, folder = demo
    scene = draw_scene(22, label=1)
    brute = check_scene(load_model(), scene)
    assert brute.matches
    focus = Focus.load(folder / "focus.json")
    np.testing.assert_array_equal(
        np.unique(focus.final_states, axis=0), np.unique(brute.final_states, axis=0), "same final states"
    )
    assert line_of(out, "Formula") == focus.formula
    assert equivalent(focus.expression, scene.rule)
    assert line_of(out, "Known rule") == f"{scene.rule}: the formula is equivalent to it"
    assert "red disc and (blue square or green triangle) (class 1), probability 1.000" in line_of(out, "Prediction")
    assert "I1 red disc" in line_of(out, "Regions")
    assert "no final state is missing, on any deterministic model" in out


def test_demo_writes_pictures_of_every_final_state(demo):
    folder = demo[1]
    focus = Focus.load(folder / "focus.json")
    assert {path.name for path in folder.iterdir()} >= {"overlay.png", "regions.png", "labels.png", "tiles"}
    tiles = sorted((folder / "tiles").iterdir())
    assert len(tiles) == len(focus.final_states) == 2
    overlay = Image.open(folder / "overlay.png")
    x, y = np.argwhere(focus.label_map.T == 1).mean(axis=0) / 96 * overlay.width
    red, green, blue = overlay.getpixel((round(x), round(y)))
    assert red > 150 > 100 > max(green, blue), "the red disc is in every final state"
    np.testing.assert_array_equal(np.array(Image.open(folder / "labels.png")), focus.label_map)
    assert focus.names[1] == "red disc"
    assert (folder / "formula.svg").exists() or (folder / "formula.dot").exists()


def test_verify_confirms_the_demo(demo, capsys):
    out, _ = run(capsys, "verify", demo[1] / "focus.json")
    assert out.count("holds:") == 6


def test_verify_tells_a_focus_that_claims_too_much(demo, capsys, tmp_path):
    text = (demo[1] / "focus.json").read_text().replace("[\n   1,\n   3\n  ]", "[\n   3\n  ]")
    assert text != (demo[1] / "focus.json").read_text()
    (tmp_path / "focus.json").write_text(text)
    out, _ = run(capsys, "verify", tmp_path / "focus.json", code=1)
    assert "FAILS: every final state keeps the prediction (1 of 2 asked again do)" in out


def test_verify_needs_an_image_of_the_same_size(demo, capsys, red, module):
    _, err = run(capsys, "verify", demo[1] / "focus.json", red, "--model", f"{module}:network", code=2)
    assert "is about an image of 96x96 pixels, but the model sees 32x32 of red.png" in err


@pytest.mark.parametrize("name", ["network", "load", "Redness", "scores"])
def test_models_from_modules_as_instance_factory_class_or_function(module, red, capsys, tmp_path, name):
    out, _ = run(capsys, "explain", red, "--model", f"{module}:{name}", *HALVES, "--out", tmp_path / "out")
    assert line_of(out, "Formula") == "I1 & I2"
    assert line_of(out, "Prediction").startswith("red (class 1)")
    assert "32x32 as the model sees it" in out


def test_the_command_line_gives_what_python_gives(module, tmp_path, capsys):
    blocks = np.random.default_rng(5).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(blocks).resize((30, 40), Image.Resampling.NEAREST))
    Image.fromarray(pixels).save(tmp_path / "blocks.png")
    out = tmp_path / "out"
    options = ["--segmenter", "grid:3x3", "--criterion", "tolerance:0.02", "--batch", "3", "--reading", "irreducible"]
    run(capsys, "explain", tmp_path / "blocks.png", "--model", f"{module}:network", "--out", out, *options)
    scope: dict = {}
    exec(MODULE, scope)  # the same text as the module's
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255
    focus = FocaLogic(scope["network"], segmenter=Grid(3, 3), criterion="tolerance:0.02").explain(
        image, baselines=image.mean((2, 3), keepdim=True).expand_as(image)
    )[0]
    written = Focus.load(out / "focus.json")
    np.testing.assert_array_equal(written.final_states, focus.final_states)
    np.testing.assert_array_equal(written.label_map, focus.label_map)
    assert written.target == focus.target
    assert written.final_states.any(axis=1).all()


def test_weights_from_a_file_and_classes_by_target(module, red, capsys, tmp_path):
    torch.save({"weight": torch.tensor(0.1)}, tmp_path / "weak.pt")
    common = ["explain", red, "--model", f"{module}:load", *HALVES, "--out", tmp_path / "out"]
    out, err = run(capsys, *common, "--weights", tmp_path / "weak.pt")
    assert line_of(out, "Prediction").startswith("dark (class 0)")
    assert line_of(out, "Final states").startswith("1 smallest; the empty one:")
    assert "no region at all" in out
    assert "warning: " in err
    assert "this baseline explains nothing" in err
    out, err = run(capsys, *common, "--target", "2")
    assert line_of(out, "Explained") == "green (class 2)"
    assert (line_of(out, "Formula"), line_of(out, "Final states")) == ("false", "none (smallest)")
    assert "the target is not the prediction" in err


def test_preprocess_of_the_module_decides_what_is_seen(module, capsys, tmp_path):
    module.write_text(MODULE + "\n\ndef preprocess(image):\n    return image.rotate(180).crop((0, 0, 20, 20))\n")
    image = Image.new("RGB", (32, 32), (0, 0, 0))
    image.paste((255, 0, 0), (12, 12, 32, 32))
    image.save(tmp_path / "corner.png")
    out, _ = run(
        capsys, "explain", tmp_path / "corner.png", "--model", f"{module}:load", "-s", "grid:2", "-o", tmp_path / "out"
    )
    assert line_of(out, "Prediction").startswith("red (class 1)")
    assert "20x20 as the model sees it" in out


def test_segment_writes_regions_that_explain_takes_as_a_mask(module, red, capsys, tmp_path):
    out, _ = run(capsys, "segment", red, "--segmenter", "grid:2x2", "--out", tmp_path / "cut")
    assert "4, with their shares of the image:" in out
    assert out.count("25.0%") == 4
    labels = np.array(Image.open(tmp_path / "cut" / "labels.png"))
    labels[labels == 2] = 200
    Image.fromarray(labels).save(tmp_path / "edited.png")
    out, _ = run(
        capsys,
        "explain",
        red,
        "--model",
        f"{module}:load",
        "--mask",
        tmp_path / "edited.png",
        *BLACK,
        "-o",
        tmp_path / "out",
    )
    assert line_of(out, "Formula") == "I1 & I200"


def test_masks_of_the_images_own_size_follow_its_crop(capsys, tmp_path):
    """The demo sees the centred square of an image: half of it is left of the middle."""
    labels = np.full((120, 200), 2**40, dtype=np.int64)
    labels[:, :100] = 3
    np.save(tmp_path / "labels.npy", labels)
    pixels = np.zeros((120, 200, 3), dtype=np.uint8)
    pixels[:, :100] = 255
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    out, _ = run(
        capsys, "explain", tmp_path / "picture.png", "--mask", tmp_path / "labels.npy", "--out", tmp_path / "out"
    )
    focus = Focus.load(tmp_path / "out" / "focus.json")
    assert focus.region_ids.tolist() == [3, 2**40]
    assert focus.label_map.shape == (96, 96)
    assert (focus.label_map[:, :48] == 3).all()
    assert (focus.label_map[:, 48:] == 2**40).all()
    assert "labels.png" not in line_of(out, "Written"), "ids beyond 16 bits fit no image"


def test_segment_anything_cuts_with_the_checkpoint_named(capsys, tmp_path, red, module, monkeypatch):
    asked = []

    class Stub:
        from_text = classmethod(SamSegmenter.from_text.__func__)

        def __new__(cls, checkpoint):
            asked.append(checkpoint)
            return Grid(2, 2)

    monkeypatch.setattr("captum_focalogic.integrations.segment_anything.SamSegmenter", Stub)
    for option in ("sam:weights/sam.pth", "sam"):
        out, _ = run(capsys, "explain", red, "--model", f"{module}:load", "-s", option, *BLACK, "-o", tmp_path / "out")
        assert line_of(out, "Formula") == "I1 & I2"
    assert asked == ["weights/sam.pth", "vit_b"]


def test_the_face_cascade_needs_eyes_and_mouth(capsys, tmp_path):
    out, _ = run(
        capsys, "explain", "--model", "cascade:face", "--reading", "smallest", "--out", tmp_path, "--no-progress"
    )
    assert line_of(out, "Prediction").startswith("a face (class 1)")
    assert line_of(out, "Formula") == "I5 & I8"


def test_torchvision_by_name(capsys, tmp_path, red):
    out, err = run(
        capsys,
        *("explain", red, "--model", "torchvision:squeezenet1_1", "--weights", "random", "--segmenter", "grid:2x2"),
        *("--reading", "smallest", "--max-evaluations", "4", "--out", tmp_path / "out", "--no-progress"),
    )
    assert "squeezenet1_1 has RANDOM weights" in err
    assert "224x224 as the model sees it" in out
    assert Focus.load(tmp_path / "out" / "focus.json").certificate.evaluations <= 4


def test_where_nothing_can_draw_the_source_of_the_drawing_is_left(capsys, tmp_path, red, module, monkeypatch):
    monkeypatch.setattr("captum_focalogic.logic.drawing.available_engines", list)
    out, err = run(capsys, "explain", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out")
    assert "formula.dot" in line_of(out, "Written")
    assert (tmp_path / "out" / "formula.dot").read_text().startswith("//")
    assert "pip install 'captum-focalogic[render]'" in err


def test_a_second_run_leaves_nothing_of_the_first(capsys, tmp_path, red, module):
    tiles = tmp_path / "out" / "tiles"
    tiles.mkdir(parents=True)
    (tiles / "state-007.png").write_bytes(b"old")
    (tiles / "mine.txt").write_text("keep")
    run(capsys, "explain", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out")
    assert sorted(path.name for path in tiles.iterdir()) == ["mine.txt", "state-001.png"]


def test_progress_is_on_standard_error_and_can_be_had_without(capsys, tmp_path, red, module):
    common = ["explain", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out"]
    out, err = run(capsys, *common)
    assert "FocaLogic attribution" in err
    assert "FocaLogic attribution" not in out
    assert run(capsys, *common, "--no-progress")[1] == ""


def test_version_and_help_need_no_torch():
    code = (
        "import sys\n"
        "from captum_focalogic.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as left:\n    assert left.code == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    for arguments in (["--version"], ["--help"], ["explain", "--help"], ["verify", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "focalogic" in done.stdout
