"""``focalogic compare``: run in this process, its files read back."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from makers import run_command
from PIL import Image

from captum_focalogic.compare import METHODS
from captum_focalogic.focus import Focus


def test_compare_the_embedded_scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = "FocaLogic, GradCAM, FeatureAblation, ReX"
    assert (
        run_command("compare", "--model", "demo", "--methods", methods, "--equal-budget", "--report", "--out", tmp_path)
        == 0
    )
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
    assert "focalogic compare --model demo --methods &#39;FocaLogic, GradCAM" in page
    assert Focus.load(tmp_path / "focus.json").names[1] == "red disc"


def test_compare_a_picture_with_a_function(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n\ndef dark(images):\n    light = images.mean(dim=(1, 2, 3))\n"
        "    return torch.stack([light, 1 - light], dim=1)\n"
    )
    Image.new("RGB", (32, 24), (30, 30, 200)).save(tmp_path / "blue.png")
    Image.new("L", (32, 24), 255).save(tmp_path / "mask.png")
    code = run_command(
        "compare", tmp_path / "blue.png", "--model", f"{tmp_path / 'mine.py'}:dark", "--segmenter", "grid:2x2",
        "--methods", "FocaLogic,IntegratedGradients,Occlusion", "--budget", 50, "--truth", tmp_path / "mask.png",
        "--format", "svg", "--out", tmp_path / "out",
    )  # fmt: skip
    said = capsys.readouterr().out
    assert code == 0
    assert "black box" in said
    assert "50 each" in said
    assert (tmp_path / "out" / "comparison.svg").read_text().startswith("<?xml")


def test_a_mask_of_the_images_own_size_follows_the_crop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n\ndef preprocess(image):\n    return image.crop((16, 0, 32, 24))\n\n"
        "def light(images):\n    lit = images.mean(dim=(1, 2, 3))\n    return torch.stack([lit, 0.3 - lit], dim=1)\n"
    )
    pixels, mask = np.zeros((24, 32, 3), dtype=np.uint8), np.zeros((24, 32), dtype=np.uint8)
    pixels[:12, 16:], mask[:12, 16:] = 255, 255
    Image.fromarray(pixels).save(tmp_path / "lit.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(mask[:, :9]).save(tmp_path / "narrow.png")
    asked = ["compare", tmp_path / "lit.png", "--model", f"{tmp_path / 'mine.py'}:light", "--segmenter", "grid:2x1"]
    asked += ["--baseline", "black", "--methods", "FocaLogic", "--out", tmp_path / "out"]
    assert run_command(*asked, "--truth", tmp_path / "mask.png") == 0
    stored = json.loads((tmp_path / "out" / "comparison.json").read_text())
    (found,) = stored["methods"]
    assert found["measures"]["precision"] == found["measures"]["recall"] == 1
    assert run_command(*asked, "--truth", tmp_path / "narrow.png") == 2
    assert "expected 32x24 (the image's size) or 16x24" in capsys.readouterr().err


def test_reshape_transform_is_a_function_of_a_users_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pytorch_grad_cam")
    (tmp_path / "mine.py").write_text(
        "import torch\n\nclass Cut(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.first = torch.nn.Conv2d(3, 2, 4, stride=4)\n        self.turn = torch.nn.Flatten(2)\n\n"
        "    def forward(self, images):\n        return self.turn(self.first(images)).mean(dim=2)\n\n"
        "def maps(flat):\n    return flat.reshape(len(flat), 2, 6, 8)\n"
    )
    Image.new("RGB", (32, 24), (30, 30, 200)).save(tmp_path / "blue.png")
    asked = (
        "compare", tmp_path / "blue.png", "--model", f"{tmp_path / 'mine.py'}:Cut", "--segmenter", "grid:2x2",
        "--methods", "GradCAM", "--layer", "turn", "--out", tmp_path / "out",
    )  # fmt: skip
    assert run_command(*asked) == 2
    assert "--reshape-transform" in capsys.readouterr().err
    assert run_command(*asked, "--reshape-transform", f"{tmp_path / 'mine.py'}:maps") == 0
    assert "GradCAM" in capsys.readouterr().out


def test_patches_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torchvision")
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom torchvision.models.vision_transformer import VisionTransformer\ntorch.manual_seed(1)\n"
        "vit = VisionTransformer(32, 8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16, num_classes=3).eval()\n"
        "torch.nn.init.normal_(vit.heads.head.weight)\n"
    )
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grain.png")
    image, model = tmp_path / "grain.png", ("--model", f"{tmp_path / 'mine.py'}:vit")
    asked = ("--segmenter", "grid:2x2", "--removal", "tokens", "--methods", "FocaLogic,FeatureAblation,RISE")
    assert run_command("compare", image, *model, *asked, "--report", "--out", tmp_path) == 0
    said = capsys.readouterr().out
    assert "dropped regions are not filled" in said
    assert "measured with regions left out" in said
    stored = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert stored["removal"] == "tokens"
    focus = Focus.load(tmp_path / "focus.json")
    assert (focus.provenance.removal, focus.provenance.baseline) == ("tokens", None)
    assert "tokens, no fill" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert run_command("verify", tmp_path / "focus.json", image, *model) == 0
    assert "regions are removed as they were" in capsys.readouterr().out


def test_methods_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("compare", "--model", "demo", "--methods", "list") == 0
    said = capsys.readouterr().out
    assert all(name in said for name in METHODS)


def test_the_settings_are_those_of_explain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = ("--model", "demo", "--out", tmp_path)
    name = "red disc and (blue square or green triangle)"
    asked = ("--target", name, "--reading", "irreducible", "--criterion", "probability:0.9", "--batch", 5)
    assert run_command("compare", *scene, "--methods", "FocaLogic", *asked, "--report") == 0
    capsys.readouterr()
    focus = Focus.load(tmp_path / "focus.json")
    assert (focus.target, focus.reading, focus.provenance.criterion) == (1, "irreducible", "probability:0.9")
    stored = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    measures = stored["methods"][0]["measures"]
    assert measures["explanations"] == len(focus.final_states)
    assert measures["evaluations"] == focus.certificate.evaluations
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"Final states\D*(\d+)\b", re.sub("<[^>]+>", " ", page))[0] == str(measures["explanations"])

    assert run_command("compare", *scene, "--methods", "FocaLogic") == 0
    compared = Focus.load(tmp_path / "focus.json")
    assert run_command("verify", tmp_path / "focus.json") == 0, "it says of what it was made"
    assert run_command("explain", *scene) == 0
    explained = Focus.load(tmp_path / "focus.json")
    assert compared.reading == explained.reading == "smallest"
    assert compared.provenance.criterion == explained.provenance.criterion == "top1+0.5"
    assert np.array_equal(compared.final_states, explained.final_states)
    assert (compared.provenance.model, compared.provenance.baseline) == ("demo", "mean")
    assert compared.target_name == explained.target_name == name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "unicorn"], "--target"),
        (["--batch", "none"], "--batch must be auto"),
        (["--criterion", "over:unicorn"], "unicorn"),
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
    assert run_command("compare", "--model", "demo", "--out", tmp_path, *options) == 2
    assert message in capsys.readouterr().err
