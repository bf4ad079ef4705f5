"""What a command opens: model, image, regions and baselines; what does not fit is told before anything is asked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import quarter_focus, run_command
from PIL import Image

from captum_focalogic.classifier import Classifier
from captum_focalogic.cli.errors import CommandError
from captum_focalogic.cli.session import ModelError, choose_segmenter, open_session, open_stored, read_batch, read_class
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.errors import FocaLogicError, InputError
from captum_focalogic.focus import Focus
from captum_focalogic.segmenters import Grid

USUAL: dict[str, Any] = {
    "image": None,
    "model": "demo",
    "weights": None,
    "baseline": "mean",
    "criterion": "top1",
    "device": "cpu",
    "seed": 3,
}


def test_the_demo_brings_a_scene_of_its_own() -> None:
    with open_session(**USUAL) as session:
        assert session.image.title == "the embedded scene 3"
        scene = session.image.scene
        assert scene is not None
        assert np.array_equal(scene.image, draw_scene(3, scene.label).image)
        assert np.array_equal(session.label_map, scene.labels)
        assert session.names == {item.region: str(item.kind) for item in scene.objects}


def test_a_model_that_fails_is_to_blame() -> None:
    with pytest.raises(ModelError, match="the model demo raised"), open_session(**USUAL) as session:
        session.classifier.forward("no tensor")  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="ours"), open_session(**USUAL):
        raise KeyError("ours")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"baseline": "pink"}, "unknown baseline 'pink'"),
        ({"criterion": "sorcery"}, "unknown criterion 'sorcery'"),
        ({"device": "abacus"}, "no device 'abacus'"),
        ({"model": "torchvision:resnet18", "weights": "random"}, "has no example of its own; name an image"),
    ],
)
def test_what_does_not_exist_is_told(change: dict[str, Any], message: str) -> None:
    with pytest.raises(FocaLogicError, match=message), open_session(**{**USUAL, **change}):
        pass


def test_a_stored_explanation_needs_an_image_of_its_size(tmp_path: Path) -> None:
    Image.new("RGB", (30, 24)).save(tmp_path / "wide.png")
    (tmp_path / "models.py").write_text("def scores(images):\n    return images.mean((2, 3))\n")
    how = {**USUAL, "model": f"{tmp_path / 'models.py'}:scores", "image": tmp_path / "wide.png"}
    del how["baseline"]
    focus, path = quarter_focus(lambda kept: kept[1]), tmp_path / "a.json"
    with (
        pytest.raises(InputError, match=r"about an image of 24x24 pixels, but the model sees 30x24 of wide.png"),
        open_stored(focus, path, baseline=None, **how),
    ):
        pass
    with pytest.raises(InputError, match="not about one image"):
        open_stored(quarter_focus(lambda kept: kept[1], label_map=None, image=None), path, baseline=None, **how)


def test_regions_are_said_once() -> None:
    assert choose_segmenter(None, Path("a.png")) is None
    assert choose_segmenter("grid:2x3", None) == Grid(2, 3)
    with pytest.raises(CommandError, match="give one of them"):
        choose_segmenter("slic", Path("a.png"))


def test_classes_by_number_or_name_and_batches() -> None:
    model = Classifier(lambda images: images, labels=["cat", "dog"])
    assert read_class(None, model, "--target") is None
    assert read_class("dog", model, "--target") == read_class("1", model, "--target") == 1
    with pytest.raises(CommandError, match="--against: "):
        read_class("owl", model, "--against")
    assert (read_batch("auto"), read_batch("7")) == ("auto", 7)
    for text in ("0", "-1", "many", "1.5"):
        with pytest.raises(CommandError, match="--batch must be auto or a number"):
            read_batch(text)


COLOURS = """
import torch
MEAN, STD = torch.tensor([0.4, 0.5, 0.6])[:, None, None], torch.tensor([0.2, 0.3, 0.25])[:, None, None]
def plain(images):
    return 20 * images[:, :, :12].mean(dim=(2, 3))
def normalised(images):
    return plain(images * STD + MEAN)
"""


def test_normalised_images_are_told_by_every_command_that_takes_a_model_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(COLOURS)
    (tmp_path / "data").mkdir()
    pixels = np.random.default_rng(22).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    image = tmp_path / "data" / "noise.png"
    Image.fromarray(pixels).save(image)
    said = ["--mean", "0.4,0.5,0.6", "--std", "0.2, 0.3, 0.25"]

    def states(name: str, *more: str) -> list[list[bool]]:
        model = ["--model", f"{tmp_path / 'mine.py'}:{name}", "--segmenter", "grid:2x4", *more]
        out = tmp_path / f"{name}{len(more)}"
        assert run_command("explain", image, *model, "--out", out) == 0
        verified = ["verify", out / "focus.json", image, *model[:2], *more]
        assert run_command(*verified) == 0
        assert run_command("compare", image, *model, "--methods", "FocaLogic", "--out", out / "compared") == 0
        compared = Focus.load(out / "compared" / "focus.json")
        found = Focus.load(out / "focus.json")
        assert np.array_equal(compared.final_states, found.final_states)
        return found.final_states.tolist()

    assert states("normalised", *said) == states("plain")
    assert run_command("explain", image, "--model", f"{tmp_path / 'mine.py'}:normalised", *said[:2]) == 2
    assert "go together" in capsys.readouterr().err
    assert run_command("explain", image, "--model", f"{tmp_path / 'mine.py'}:normalised", "--mean", "a", *said[2:]) == 2
    assert "--mean must be numbers with commas between them; got 'a'" in capsys.readouterr().err


def test_a_study_takes_the_same(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
    from captum_focalogic.study import read_rows

    (tmp_path / "mine.py").write_text(COLOURS)
    (tmp_path / "data").mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / f"{number}.png")
    said = ["--mean", "0.4,0.5,0.6", "--std", "0.2,0.3,0.25"]
    formulas = []
    for name, more in (("plain", []), ("normalised", said)):
        model = ["--model", f"{tmp_path / 'mine.py'}:{name}", "--segmenter", "grid:2x3", "--baseline", "mean", *more]
        out = ["--out", tmp_path / name, "--examples", "0", "--no-progress"]
        assert run_command("study", tmp_path / "data", *model, *out) == 0
        formulas.append(read_rows(tmp_path / name).column("formula").to_pylist())
    assert formulas[0] == formulas[1]
