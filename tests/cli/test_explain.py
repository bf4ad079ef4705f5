"""``focalogic explain`` on good input: what it prints, what it writes, and that both are true."""

import numpy as np
import pytest
import torch
from makers import said
from PIL import Image

from captum_focalogic import FocaLogic, Focus
from captum_focalogic.demo.check import check_scene
from captum_focalogic.demo.network import load_model
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.integrations.segment_anything import SamSegmenter
from captum_focalogic.logic import equivalent
from captum_focalogic.segmenters import Grid

BLACK = ("--baseline", "black")
"""An image of one colour has no other mean."""


HALVES = ("--segmenter", "grid:2x2", *BLACK)


def test_demo_prints_what_brute_force_finds_and_compares_it_with_the_rule(demo):
    out, folder = demo
    scene = draw_scene(22, label=1)
    brute = check_scene(load_model(), scene)
    assert brute.matches
    focus = Focus.load(folder / "focus.json")
    np.testing.assert_array_equal(
        np.unique(focus.final_states, axis=0), np.unique(brute.final_states, axis=0), "same final states"
    )
    assert said(out, "Formula")[0] == focus.formula
    assert equivalent(focus.expression, scene.rule)
    assert said(out, "Known rule")[0] == f"{scene.rule}: the formula is equivalent to it"
    assert "red disc and (blue square or green triangle) (class 1), probability 1.000" in said(out, "Prediction")[0]
    assert "I1 red disc" in said(out, "Regions")[0]
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


@pytest.mark.parametrize("name", ["network", "load", "Redness", "scores"])
def test_models_from_modules_as_instance_factory_class_or_function(module, red, run, tmp_path, name):
    out, _ = run("explain", red, "--model", f"{module}:{name}", *HALVES, "--out", tmp_path / "out")
    assert said(out, "Formula")[0] == "I1 & I2"
    assert said(out, "Prediction")[0].startswith("red (class 1)")
    assert "32x32 as the model sees it" in out


def test_the_command_line_gives_what_python_gives(module, tmp_path, run):
    blocks = np.random.default_rng(5).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(blocks).resize((30, 40), Image.Resampling.NEAREST))
    Image.fromarray(pixels).save(tmp_path / "blocks.png")
    out = tmp_path / "out"
    options = ["--segmenter", "grid:3x3", "--criterion", "tolerance:0.02", "--batch", "3", "--reading", "irreducible"]
    run("explain", tmp_path / "blocks.png", "--model", f"{module}:network", "--out", out, *options)
    scope: dict = {}
    exec(module.read_text(), scope)  # the same text as the module's
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255
    focus = FocaLogic(scope["network"], segmenter=Grid(3, 3), criterion="tolerance:0.02").explain(
        image, baselines=image.mean((2, 3), keepdim=True).expand_as(image)
    )[0]
    written = Focus.load(out / "focus.json")
    np.testing.assert_array_equal(written.final_states, focus.final_states)
    np.testing.assert_array_equal(written.label_map, focus.label_map)
    assert written.target == focus.target
    assert written.final_states.any(axis=1).all()


def test_weights_from_a_file_and_classes_by_target(module, red, run, tmp_path):
    torch.save({"weight": torch.tensor(0.1)}, tmp_path / "weak.pt")
    common = ["explain", red, "--model", f"{module}:load", *HALVES, "--out", tmp_path / "out"]
    out, err = run(*common, "--weights", tmp_path / "weak.pt")
    assert said(out, "Prediction")[0].startswith("dark (class 0)")
    assert said(out, "Final states")[0].startswith("1 smallest; the empty one:")
    assert "no region at all" in out
    assert "warning: " in err
    assert "this baseline explains nothing" in err
    out, err = run(*common, "--target", "2")
    assert said(out, "Explained")[0] == "green (class 2)"
    assert (said(out, "Formula")[0], said(out, "Final states")[0]) == ("false", "none (smallest)")
    assert "the target is not the prediction" in err


def test_preprocess_of_the_module_decides_what_is_seen(module, run, tmp_path):
    module.write_text(
        module.read_text() + "\n\ndef preprocess(image):\n    return image.rotate(180).crop((0, 0, 20, 20))\n"
    )
    image = Image.new("RGB", (32, 32), (0, 0, 0))
    image.paste((255, 0, 0), (12, 12, 32, 32))
    image.save(tmp_path / "corner.png")
    out, _ = run(
        "explain", tmp_path / "corner.png", "--model", f"{module}:load", "-s", "grid:2", "-o", tmp_path / "out"
    )
    assert said(out, "Prediction")[0].startswith("red (class 1)")
    assert "20x20 as the model sees it" in out


def test_masks_of_the_images_own_size_follow_its_crop(run, tmp_path):
    """The demo sees the centred square of an image: half of it is left of the middle."""
    labels = np.full((120, 200), 2**40, dtype=np.int64)
    labels[:, :100] = 3
    np.save(tmp_path / "labels.npy", labels)
    pixels = np.zeros((120, 200, 3), dtype=np.uint8)
    pixels[:, :100] = 255
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    out, _ = run("explain", tmp_path / "picture.png", "--mask", tmp_path / "labels.npy", "--out", tmp_path / "out")
    focus = Focus.load(tmp_path / "out" / "focus.json")
    assert focus.region_ids.tolist() == [3, 2**40]
    assert focus.label_map.shape == (96, 96)
    assert (focus.label_map[:, :48] == 3).all()
    assert (focus.label_map[:, 48:] == 2**40).all()
    assert "labels.png" not in said(out, "Written")[0], "ids beyond 16 bits fit no image"


def test_segment_anything_cuts_with_the_checkpoint_named(run, tmp_path, red, module, monkeypatch):
    asked = []

    class Stub:
        from_text = classmethod(SamSegmenter.from_text.__func__)

        def __new__(cls, checkpoint):
            asked.append(checkpoint)
            return Grid(2, 2)

    monkeypatch.setattr("captum_focalogic.integrations.segment_anything.SamSegmenter", Stub)
    for option in ("sam:weights/sam.pth", "sam"):
        out, _ = run("explain", red, "--model", f"{module}:load", "-s", option, *BLACK, "-o", tmp_path / "out")
        assert said(out, "Formula")[0] == "I1 & I2"
    assert asked == ["weights/sam.pth", "vit_b"]


def test_the_face_cascade_needs_eyes_and_mouth(run, tmp_path):
    out, _ = run("explain", "--model", "cascade:face", "--reading", "smallest", "--out", tmp_path, "--no-progress")
    assert said(out, "Prediction")[0].startswith("a face (class 1)")
    assert said(out, "Formula")[0] == "I5 & I8"


def test_torchvision_by_name(run, tmp_path, red):
    out, err = run(
        *("explain", red, "--model", "torchvision:squeezenet1_1", "--weights", "random", "--segmenter", "grid:2x2"),
        *("--reading", "smallest", "--max-evaluations", "4", "--out", tmp_path / "out", "--no-progress"),
    )
    assert "squeezenet1_1 has RANDOM weights" in err
    assert "224x224 as the model sees it" in out
    assert Focus.load(tmp_path / "out" / "focus.json").certificate.evaluations <= 4


def test_where_nothing_can_draw_the_source_of_the_drawing_is_left(run, tmp_path, red, module, monkeypatch):
    monkeypatch.setattr("captum_focalogic.logic.drawing.available_engines", list)
    out, err = run("explain", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out")
    assert "formula.dot" in said(out, "Written")[0]
    assert (tmp_path / "out" / "formula.dot").read_text().startswith("//")
    assert "pip install 'captum-focalogic[render]'" in err


def test_a_second_run_leaves_nothing_of_the_first(run, tmp_path, red, module):
    tiles = tmp_path / "out" / "tiles"
    tiles.mkdir(parents=True)
    (tiles / "state-007.png").write_bytes(b"old")
    (tiles / "mine.txt").write_text("keep")
    run("explain", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out")
    assert sorted(path.name for path in tiles.iterdir()) == ["mine.txt", "state-001.png"]


def test_progress_is_on_standard_error_and_can_be_had_without(run, tmp_path, red, module):
    common = ["explain", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out"]
    out, err = run(*common)
    assert "FocaLogic attribution" in err
    assert "FocaLogic attribution" not in out
    assert run(*common, "--no-progress")[1] == ""
