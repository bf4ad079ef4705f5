"""One call from an image to an answer: the defaults, every way to name a thing, many images at once."""

import json
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from captum_focalogic import Answer, FocaLogic, Focus, MaskedModel, explain_image, explain_images
from captum_focalogic.baselines import blurred, mean_colour, region_mean
from captum_focalogic.classifier import Classifier
from captum_focalogic.criteria import Margin
from captum_focalogic.demo.network import load_model
from captum_focalogic.demo.rules import CLASS_NAMES
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.errors import FocaLogicWarning, InputError, SearchInterrupt
from captum_focalogic.logic import equivalent
from captum_focalogic.search import Exhaustive, enumerate_final_states
from captum_focalogic.verify import verify

SCENE = draw_scene(22, label=1)


class Corners(nn.Module):
    """Class 1 where the upper corners are bright, class 2 by little; counts its calls and their rows."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(8.0))
        self.rows: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.rows.append(len(images))
        half = images.shape[-1] // 2
        left, right = images[:, :, :half, :half].mean((1, 2, 3)), images[:, :, :half, half:].mean((1, 2, 3))
        bright = self.gain * (torch.minimum(left, right) - 0.5)
        return torch.stack([torch.zeros_like(bright), bright, bright - 1], dim=1)


def quarters(upper: float = 1.0, lower: float = 0.0, side: int = 8) -> np.ndarray:
    image = np.full((side, side, 3), lower, dtype=np.float32)
    image[: side // 2] = upper
    return image


def test_the_embedded_scene_is_explained_by_its_rule() -> None:
    answer = explain_image(load_model(), SCENE.image, labels=CLASS_NAMES, segmenter=SCENE.labels)
    assert equivalent(answer.focus.expression, SCENE.rule)
    assert answer.prediction is not None
    assert (answer.prediction.index, answer.prediction.name) == (1, CLASS_NAMES[1])
    assert answer.prediction.probability > 0.99
    probabilities = [probability for _, _, probability in answer.prediction.top]
    assert probabilities == sorted(probabilities, reverse=True)
    assert answer.focus.target_name == CLASS_NAMES[1]


def test_defaults_are_smallest_states_mean_colour_half_the_probability_and_a_thousand_evaluations() -> None:
    answer = explain_image("demo", SCENE.image)
    focus = answer.focus
    assert focus.reading == "smallest"
    assert (focus.provenance.criterion, focus.provenance.baseline) == ("top1+0.5", "mean")
    assert (focus.provenance.removal, focus.provenance.model, focus.provenance.seed) == ("fill", "demo", 0)
    assert focus.num_regions <= 12
    assert focus.certificate.evaluations <= 1_000
    short = explain_image("demo", SCENE.image, max_evaluations=5)
    assert short.focus.certificate.evaluations <= 5


def test_final_states_are_what_brute_force_finds_under_the_usual_criterion() -> None:
    model, labels = load_model(), SCENE.labels
    region_ids = np.unique(labels)
    image = torch.from_numpy(SCENE.image)
    fill = image.mean((1, 2), keepdim=True)
    whole = model(image[None]).softmax(1)[0].detach()
    best = int(whole.argmax())

    def predicate(states: np.ndarray) -> np.ndarray:
        kept = torch.from_numpy(np.stack([np.isin(labels, region_ids[state]) for state in states]))[:, None]
        with torch.no_grad():
            likely = model(torch.where(kept, image, fill)).softmax(1)
        return ((likely.argmax(1) == best) & (likely[:, best] >= 0.5 * whole[best])).numpy()

    result = enumerate_final_states(predicate, len(region_ids), Exhaustive())
    sizes = result.final_states.sum(1)
    expected = result.final_states[sizes == sizes.min()]
    np.testing.assert_array_equal(explain_image("demo", SCENE.image, segmenter=labels).focus.final_states, expected)


def test_an_image_is_a_path_a_pillow_image_an_array_or_a_tensor(tmp_path) -> None:
    pixels = (quarters() * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "bright.png")
    given = [
        tmp_path / "bright.png",
        str(tmp_path / "bright.png"),
        Image.fromarray(pixels),
        pixels,
        quarters(),
        torch.from_numpy(quarters()).permute(2, 0, 1),
    ]
    answers = [explain_image(Corners(), image, segmenter="grid:2x2", baseline="black") for image in given]
    assert {answer.focus.formula for answer in answers} == {"I1 & I2"}
    assert [answer.title for answer in answers[:3]] == ["bright.png", "bright.png", "image"]


def test_names_objects_and_callables_say_the_same() -> None:
    labels = np.array([[1] * 8] * 4 + [[2] * 8] * 4)
    by_name = explain_image(Corners(), quarters(), segmenter="grid:2x1", baseline="black", criterion="margin:0.5")
    ways = {
        "objects": {"segmenter": labels, "baseline": 0.0, "criterion": Margin(0.5)},
        "callables": {"segmenter": lambda _: labels, "baseline": lambda x: x * 0, "criterion": Margin(0.5)},
        "tensor": {"segmenter": torch.from_numpy(labels), "baseline": torch.zeros(3, 1, 1), "criterion": "margin:0.5"},
    }
    for name, how in ways.items():
        answer = explain_image(Corners(), quarters(), **how)
        np.testing.assert_array_equal(answer.focus.final_states, by_name.focus.final_states, name)


@pytest.mark.parametrize(("function", "name"), [(mean_colour, "mean"), (region_mean, "region-mean"), (blurred, "blur")])
def test_baselines_as_functions_are_those_of_their_names(function, name) -> None:
    noise = np.random.default_rng(0).random((8, 8, 3), dtype=np.float32) * 0.5 + quarters() * 0.5
    ways = [explain_image(Corners(), noise, segmenter="grid:2x2", baseline=baseline) for baseline in (function, name)]
    digests = {answer.focus.provenance.baseline_digest for answer in ways}
    assert len(digests) == 1
    assert digests != {None}


def test_many_images_of_several_sizes_get_each_its_own_answer_in_shared_batches() -> None:
    images = [quarters(), quarters(side=12), quarters(0.9), quarters(0.2, 0.9)]
    how = {"segmenter": "grid:2x2", "baseline": "black", "reading": "irreducible", "perturbations_per_eval": 16}
    model = Corners()
    together = explain_images(model, images, **how)
    apart = [explain_image(Corners(), image, **how) for image in images]
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_array_equal(one.focus.final_states, other.focus.final_states)
        np.testing.assert_array_equal(one.focus.label_map, other.focus.label_map)
        assert one.prediction == other.prediction
    assert [answer.title for answer in together] == ["image", "image 2", "image 3", "image 4"]
    assert max(model.rows) <= 16
    alone = Corners()
    for image in images:
        explain_image(alone, image, **how)
    assert len(model.rows) < len(alone.rows), "images of one size share calls"


def test_there_may_be_no_image_at_all() -> None:
    assert explain_images(Corners(), []) == []


def test_a_target_may_be_named() -> None:
    how = {"labels": ["dark", "bright", "brightish"], "segmenter": "grid:2x2", "baseline": "black"}
    by_name = explain_image(Corners(), quarters(), target="bright", **how)
    assert by_name.focus.target == 1
    with pytest.warns(FocaLogicWarning, match="the target is not the prediction"):
        other = explain_image(Corners(), quarters(), target="Dark", **how)
    assert other.focus.formula == "false"
    assert "Explained    dark, which is not the prediction" in str(other)
    with pytest.raises(InputError, match="no class is called 'brigth'; did you mean bright"):
        explain_image(Corners(), quarters(), target="brigth", **how)


def test_models_that_give_no_probability_are_asked_for_the_same_answer_and_it_is_said() -> None:
    def label(images: torch.Tensor) -> torch.Tensor:
        return Corners()(images).argmax(1)

    with pytest.warns(FocaLogicWarning, match="the model gives labels, of which no share can be asked for"):
        answer = explain_image(label, quarters(), segmenter="grid:2x2", baseline="black", labels=["a", "b", "c"])
    assert answer.focus.formula == "I1 & I2"
    assert answer.prediction is not None
    assert (answer.prediction.name, answer.prediction.probability) == ("b", None)
    assert answer.focus.provenance.criterion == "top1"

    def margin(images: torch.Tensor) -> torch.Tensor:
        return Corners()(images)[:, 1]

    with pytest.warns(FocaLogicWarning, match="one number of no known scale"):
        answer = explain_image(margin, quarters(), segmenter="grid:2x2", baseline="black")
    assert answer.focus.formula == "I1 & I2"
    assert "Prediction   4 (positive)" in str(answer)


def test_the_model_sees_what_preprocess_makes_of_the_image() -> None:
    wide = np.concatenate([quarters(0, 1), quarters()], axis=1)
    answer = explain_image(
        Corners(),
        wide,
        preprocess=lambda image: image.crop((8, 0, 16, 8)),
        segmenter="grid:2x2",
        baseline="black",
    )
    assert answer.focus.label_map.shape == (8, 8)
    assert answer.focus.formula == "I1 & I2"
    with pytest.raises(InputError, match=r"preprocess must return an image in \[0, 1\].* lies in \[-1, 1\]"):
        explain_image(Corners(), wide, preprocess=lambda image: torch.from_numpy(quarters(-1, 1)).permute(2, 0, 1))
    with pytest.raises(InputError, match="preprocess must return an image"):
        explain_image(Corners(), wide, preprocess=lambda image: torch.zeros(2, 4, 4))


def test_label_maps_of_the_images_own_size_follow_a_crop_that_is_known() -> None:
    def right(image: Image.Image, nearest: bool = False) -> Image.Image:
        return image.crop((8, 0, 16, 8))

    wide = np.concatenate([quarters(0, 1), quarters()], axis=1)
    regions = np.repeat(np.repeat([[7, 7, 7, 9], [7, 7, 3, 9]], 4, axis=0), 4, axis=1)
    answer = explain_image(Classifier.fitted(Corners(), right), wide, segmenter=regions, baseline="black")
    assert answer.focus.region_ids.tolist() == [3, 7, 9]
    assert answer.focus.formula == "I7 & I9"
    with pytest.raises(InputError, match=r"the label map is 3x2 pixels \(width x height\); expected 16x8"):
        explain_image(Classifier.fitted(Corners(), right), wide, segmenter=np.ones((2, 3), dtype=int))


def test_the_users_module_is_left_as_it_was() -> None:
    model = Corners().train()
    explain_image(model, quarters(), segmenter="grid:2x2")
    assert model.training
    assert model.gain.requires_grad


def test_an_answer_can_be_pickled_saved_and_shown_and_holds_no_model(tmp_path, monkeypatch) -> None:
    answer = explain_image("demo", SCENE.image, segmenter=SCENE.labels)
    again = pickle.loads(pickle.dumps(answer))
    assert isinstance(again, Answer)
    assert str(again) == str(answer)
    assert len(pickle.dumps(answer)) < 1_000_000
    answer.save(tmp_path / "answer.json")
    stored = Focus.load(tmp_path / "answer.json")
    np.testing.assert_array_equal(stored.final_states, answer.focus.final_states)
    assert json.loads((tmp_path / "answer.json").read_text())["format"].startswith("captum-focalogic/focus")
    page = answer.report(tmp_path / "answer.html").read_text(encoding="utf-8")
    assert CLASS_NAMES[1] in page
    shown: list[Image.Image] = []

    def show(image: Image.Image) -> None:
        shown.append(image)

    monkeypatch.setattr(Image.Image, "show", show)
    answer.show()
    assert [image.tobytes() for image in shown] == [answer.headline().tobytes()]
    assert 'src="data:image/' in answer._repr_html_()
    assert "Enough" in answer._repr_html_()


def test_printed_is_what_is_enough_what_cannot_go_and_what_was_checked() -> None:
    answer = explain_image("demo", SCENE.image, segmenter=SCENE.labels)
    text = str(answer)
    assert "Image        image, 96x96 as the model sees it\n" in text
    assert f"Prediction   {CLASS_NAMES[1]} 1.00 (then " in text
    assert "\nEnough       1 and 4 keep it alone: " in text
    assert "in all 2 ways: 1 together with 3 or 4   I1 & (I3 | I4)\n" in text
    assert "\nWithout      1, all else kept, the model says " in text
    assert "\nTrust        " in text
    assert "no fewer than 2 regions are enough, and these are all of that size" in text
    assert len(text.splitlines()) <= 12
    whole = answer.lines()
    assert whole["Formula"] == "I1 & (I3 | I4)"
    assert whole["Prediction"] == f"{CLASS_NAMES[1]} (class 1), probability 1.000"
    assert "I1 & I3   7.4% of the image, probability " in whole["Final states"]
    assert "no final state is missing" in whole["Certificate"]


def test_critical_sets_are_asked_of_the_model() -> None:
    model, labels = load_model(), SCENE.labels
    answer = explain_image(model, SCENE.image, labels=CLASS_NAMES, segmenter=labels)
    critical = answer.critical
    assert critical is not None
    assert {frozenset(answer.focus.region_ids[state].tolist()) for state in critical.states} == {
        frozenset({1}),
        frozenset({3, 4}),
    }
    assert critical.needed.tolist() == [True, True]
    image = torch.from_numpy(SCENE.image)
    fill = image.mean((1, 2), keepdim=True)
    for row, dropped in enumerate(critical.states):
        gone = torch.from_numpy(np.isin(labels, answer.focus.region_ids[dropped]))
        with torch.no_grad():
            scores = model(torch.where(gone, fill, image)[None])[0]
        assert critical.predicted is not None
        assert critical.predicted[row] == scores.argmax()
        assert critical.names[row] == CLASS_NAMES[int(scores.argmax())]
        assert critical.probability[row] == pytest.approx(float(scores.softmax(0)[1]), rel=1e-3)


def test_what_readers_will_ask_is_asked_beforehand() -> None:
    model = load_model()
    answer = explain_image(model, SCENE.image, labels=CLASS_NAMES, segmenter=SCENE.labels)
    focus, further = answer.focus, answer.focus.further
    assert further is not None
    assert answer.critical is not None
    known = {state.tobytes(): row for row, state in enumerate(further.states)}
    assert len(known) == len(further)
    single = np.eye(focus.num_regions, dtype=bool)
    for states in (single, focus.final_states, answer.critical.states):
        for state in (*states, *~states):
            assert state.tobytes() in known
    image = torch.from_numpy(SCENE.image)
    fill = image.mean((1, 2), keepdim=True)
    kept = ~single[0]
    pixels = torch.from_numpy(np.isin(SCENE.labels, focus.region_ids[kept]))
    with torch.no_grad():
        shares = model(torch.where(pixels, image, fill)[None])[0].softmax(0)
    row = known[kept.tobytes()]
    assert further.predicted is not None
    assert further.top is not None
    assert further.top_probability is not None
    assert further.predicted[row] == further.top[row, 0] == shares.argmax()
    assert further.top_probability[row].tolist() == pytest.approx(shares.sort(descending=True)[0].tolist(), abs=1e-4)
    assert {further.class_names[index] for index in further.top[row].tolist()} == set(CLASS_NAMES)


def test_trust_is_measured_on_all_region_sets_where_there_are_few() -> None:
    model = Corners()
    answer = explain_image(model, quarters(), segmenter="grid:2x2", baseline="black")
    trust = answer.trust
    assert trust is not None
    assert (trust.soundness.share, trust.coverage.share, trust.constant) == (1, 1, 0.25)
    assert trust.soundness.low == trust.soundness.high
    assert trust.second_fill is not None
    assert trust.second_fill.baseline == "mean"
    assert trust.second_fill.region_sets == ((1, 2),)
    assert trust.repeats is not None
    assert trust.repeats.asked > 1
    assert trust.repeats.differed == 0


def test_a_model_that_changes_its_mind_is_not_certain() -> None:
    seen: set[bytes] = set()

    def moody(images: torch.Tensor) -> torch.Tensor:
        scores = Corners()(images).detach()
        again = torch.tensor([image.numpy().tobytes() in seen for image in images])
        seen.update(image.numpy().tobytes() for image in images)
        # What it is asked a second time it answers otherwise.
        return torch.where(again[:, None], -scores, scores)

    answer = explain_image(moody, quarters(), segmenter="grid:2x2", baseline="black", perturbations_per_eval=32)
    assert answer.trust is not None
    repeats = answer.trust.repeats
    assert repeats is not None
    assert repeats.differed >= 1
    assert not repeats.certain
    assert "so nothing here is certain" in str(answer)


def test_the_budget_is_for_all_that_is_asked() -> None:
    for budget in (3, 20, 60, 200, 1000):
        model = Corners()
        explain_image(model, quarters(side=24), segmenter="grid:4x4", baseline="black", max_evaluations=budget)
        assert sum(model.rows) <= budget


def test_what_is_saved_is_verified_with_its_critical_sets(tmp_path) -> None:
    model, labels = load_model(), SCENE.labels
    answer = explain_image(model, SCENE.image, segmenter=labels, baseline="black")
    answer.save(tmp_path / "focus.json")
    stored = Focus.load(tmp_path / "focus.json")
    assert stored.critical is not None
    assert stored.trust == answer.trust
    inputs = torch.from_numpy(SCENE.image)[None]
    assert verify(stored, model, inputs).holds
    forged = replace(stored, critical=replace(stored.critical, states=~stored.critical.states))
    assert not verify(forged, model, inputs).holds


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"segmenter": "magic"}, "unknown segmenter 'magic'"),
        ({"baseline": "magic"}, "unknown baseline 'magic'"),
        ({"baseline": torch.zeros(5, 5)}, "must broadcast"),
        ({"criterion": "magic"}, "unknown criterion 'magic'"),
        ({"search": "magic"}, "unknown search 'magic'"),
        ({"reading": "magic"}, "reading must be one of"),
        ({"device": "abacus"}, "no device 'abacus'"),
        ({"max_evaluations": 0}, "max_evaluations must be a positive number"),
        ({"time_limit": -1}, "time_limit must be a positive number"),
        ({"perturbations_per_eval": 0}, "perturbations_per_eval must be at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(how, message) -> None:
    with pytest.raises(InputError, match=message):
        explain_image(Corners(), quarters(), **how)


@pytest.mark.parametrize(
    ("model", "image", "how", "message"),
    [
        (Corners(), np.stack([quarters(), quarters()]), {}, "explain_images takes several"),
        (
            Corners(),
            quarters() * 4 - 2,
            {},
            "if they are normalised, give the image before that",
        ),
        (Corners(), quarters() * 255, {}, r"scale them to \[0, 1\]"),
        (Corners(), "https://example.org/cat.png", {}, "it is an address; download it first"),
        (Corners, quarters(), {}, r"Corners is a class of networks; make one of it first: Corners\(...\)"),
        (lambda x: {"scores": x.mean((2, 3))}, quarters(), {}, r"lambda x: model\(x\)\['scores'\]"),
        (lambda x: (x.mean((2, 3)),), quarters(), {}, r"lambda x: model\(x\)\[0\]"),
        (
            Corners(),
            quarters(),
            {"segmenter": np.ones((8, 8))},
            r"got float64. Convert it: .astype",
        ),
        (
            Corners(),
            quarters(),
            {"segmenter": lambda image: image[..., 0]},
            r"is given the image as \(3, H, W",
        ),
    ],
)
def test_who_goes_astray_is_told_how_to_go_on(model: Any, image: Any, how: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain_image(model, image, **how)


def test_numbers_of_numpy_are_classes_and_texts_of_numbers_are_regions() -> None:
    kept = explain_image(Corners(), quarters(), segmenter="grid:2x2", target=np.int64(1))
    assert kept.focus.target == 1
    inputs, mask = torch.from_numpy(quarters().transpose(2, 0, 1))[None], kept.focus.label_map
    asked = [FocaLogic(Corners()).explain(inputs, target=target, feature_mask=mask)[0] for target in (1, np.array([1]))]
    assert np.array_equal(asked[0].final_states, asked[1].final_states)
    assert kept.named({"1": "left ear"}).focus.names == kept.named({1: "left ear"}).focus.names == {1: "left ear"}
    with pytest.raises(InputError, match=r"a mapping, such as \{1: 'left ear'\}; got a list"):
        kept.named(["left ear"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"torch.from_numpy\(array\)"):
        FocaLogic(Corners()).attribute(inputs.numpy())
    with pytest.raises(InputError, match=r"it lacks its batch dimension: pass inputs\[None\], \(1, 3, 8, 8\)"):
        MaskedModel(Corners(), inputs[0], feature_mask=mask)


def test_a_misspelt_model_is_told() -> None:
    with pytest.raises(InputError, match="unknown model 'dmeo'"):
        explain_image("dmeo", quarters())


def test_the_names_load_on_first_use() -> None:
    code = (
        "import sys, captum_focalogic\n"
        "assert {'Answer', 'MaskedModel', 'explain_image', 'explain_images'} <= set(dir(captum_focalogic))\n"
        "assert 'torch' not in sys.modules\n"
        "assert captum_focalogic.explain_image.__module__ == 'captum_focalogic.answer'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_class_is_held_against_another_and_no_more_is_said_than_that() -> None:
    how = {"labels": ["dark", "bright", "brightish"], "segmenter": "grid:2x2", "baseline": "black"}
    answer = explain_image(Corners(), quarters(), against="dark", **how)
    assert answer.focus.provenance.criterion == "over:0"
    assert "1 and 2 alone keep bright ahead of dark, by at least half of its lead: 50 % of the image" in str(answer)
    assert "Without      1, all else kept, bright keeps less than half of its lead over dark (the model says " in str(
        answer
    )
    assert "keep it alone" not in str(answer)
    np.testing.assert_array_equal(
        explain_image(Corners(), quarters(), criterion="over:0", **how).focus.final_states, answer.focus.final_states
    )
    with pytest.raises(InputError, match="criterion 'top1' and against='dark' both say what is enough"):
        explain_image(Corners(), quarters(), against="dark", criterion="top1", **how)


@pytest.mark.parametrize(("baseline", "shape"), [("mean", (1, 1, 3)), ("blur:3", (8, 8, 3))])
def test_what_regions_were_filled_with_is_kept_as_an_image(baseline, shape) -> None:
    image = quarters(1.0, 0.2)
    fill = explain_image(Corners(), image, segmenter="grid:2x2", baseline=baseline).fill
    assert fill is not None
    assert (fill.shape, fill.dtype) == (shape, np.uint8)
    if baseline == "mean":
        assert fill.ravel().tolist() == [153, 153, 153]


@pytest.mark.filterwarnings("ignore:.*the target is not the prediction")
def test_a_class_that_is_not_the_prediction_is_looked_for_in_parts_of_the_image() -> None:
    """Class 2 is ahead nowhere, and class 0 wherever an upper corner is gone."""
    how = {"labels": ["dark", "bright", "brightish"], "segmenter": "grid:2x2", "baseline": "black"}
    model = Corners()
    answer = explain_image(model, quarters(), target="dark", **how)
    assert len(answer.focus.final_states) == 0
    assert answer.grown is not None
    assert "what the regions are filled with is by itself called dark, 0.9" in str(answer)
    nowhere = explain_image(model, quarters(), target="brightish", **how)
    assert nowhere.grown is not None
    assert "\nAlone        no set of regions was found that alone is called brightish (15 asked)" in str(nowhere)
    assert nowhere.headline().width > 600
    upside_down = explain_image(model, quarters(0.2, 1.0), target="dark", **how)
    assert upside_down.grown is None
    assert "Alone" not in str(upside_down)


@pytest.mark.filterwarnings("ignore:.*the target is not the prediction")
def test_regions_alone_are_called_what_the_whole_is_not() -> None:
    def left_or_right(images: torch.Tensor) -> torch.Tensor:
        """Class 2 where only the left is bright, class 1 where the right is, class 0 elsewhere."""
        left, right = images[..., :4].mean((1, 2, 3)), images[..., 4:].mean((1, 2, 3))
        return torch.stack([torch.full_like(left, 0.5), 2 * right, 1.5 * left], dim=1)

    labels = ["none", "right", "left"]
    image = np.ones((8, 8, 3), dtype=np.float32)
    answer = explain_image(left_or_right, image, target="left", labels=labels, segmenter="grid:1x2", baseline="black")
    assert answer.prediction is not None
    assert answer.prediction.name == "right"
    assert answer.grown is not None
    assert answer.grown.states.tolist() == [[True, False]]
    assert "Alone        the whole is called right; 1 alone is called left, 0.6" in str(answer)
    assert "50 % of the image (3 sets asked; others may exist)" in str(answer)
    assert "Trust" not in str(answer)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_an_interrupt_is_raised_with_what_was_found(share: float) -> None:
    """In the search, and in what is asked after it."""
    calls, last = 0, -1

    def model(images: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == last:
            raise KeyboardInterrupt
        light = images[:, :, :16].mean((1, 2, 3))
        return torch.stack([light, 0.3 - light], dim=1)

    image = np.zeros((32, 32, 3), dtype=np.uint8)
    image[:16] = 255
    how: dict[str, Any] = {"segmenter": "grid:3x3", "baseline": "black", "perturbations_per_eval": 4}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explain_image(model, image, outputs="logits", **how)
        last, calls = max(2, round(share * calls)), 0
        with pytest.raises(SearchInterrupt) as interrupt:
            explain_image(model, image, outputs="logits", **how)
    answer = interrupt.value.found
    assert calls == last
    assert answer.focus.evaluated.valid[0]
    assert (answer.focus.certificate.stopped == "interrupted") == (share == 0.0)
    assert str(answer)


class Odd(Corners):
    """Has what people call their layers and methods; none of it is meant for whoever explains."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.mask, self.logits = torch.nn.Conv2d(3, 3, 1), torch.ones(2, 2), torch.nn.Identity()
        self.max_calls, self.budget, self.identity, self.labels, self.name = 3, 1, torch.nn.Identity(), ["x"], "y"
        self.config, self.pretrained_cfg, self.segmenter, self.target = {"id2label": {}}, {"mean": 3}, "sam", 7

    def _never(self, *_: Any) -> Any:
        raise AssertionError("called")

    crop = resize = preprocess = preprocess_labels = transform = fit = judge = search = make = read = layers = _never


def test_a_module_with_names_of_ours_is_taken_for_nothing_else() -> None:
    """Explained, attributed and studied as its twin that has none of them."""
    image = quarters()
    plain, odd = (explain_image(model, image, segmenter="grid:2x2", baseline="black") for model in (Corners(), Odd()))
    assert odd.focus.region_sets() == plain.focus.region_sets()
    assert odd.trust.repeats == plain.trust.repeats
    assert odd.trust.repeats is not None
    assert (odd.prediction.index, odd.prediction.name) == (plain.prediction.index, None)
    assert odd.focus.certificate.evaluations == plain.focus.certificate.evaluations
    x = torch.from_numpy(image).permute(2, 0, 1)[None]
    weights = [FocaLogic(model, segmenter="grid:2x2").attribute(x) for model in (Corners(), Odd())]
    assert torch.equal(*weights)


def test_a_model_that_is_paid_by_the_call_is_not_asked_again() -> None:
    class Paid(Corners):
        billed_by_the_call = True

    answer = explain_image(Paid(), quarters(), segmenter="grid:2x2", baseline="black")
    assert answer.trust.repeats is None


@pytest.mark.parametrize("images", [None, "cat.jpg", b"", 3])
def test_images_are_several(images: Any) -> None:
    with pytest.raises(InputError, match="images must be several, such as a list of paths"):
        explain_images(Corners(), images)


@pytest.mark.parametrize("criterion", [["top1"], 3, None])
def test_a_criterion_is_a_name_or_does_something(criterion: Any) -> None:
    with pytest.raises(InputError, match="criterion must be a name such as top1"):
        explain_image(Corners(), quarters(), segmenter="grid:2x2", criterion=criterion)


@pytest.mark.parametrize("names", [("cat",), ("cat", "dog", "bird", "fish"), {"0": "cat", "1": "dog"}])
def test_names_of_more_or_fewer_classes_than_there_are_are_refused(names) -> None:
    def three(images):
        return images.mean((2, 3))

    image, mask = torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.int64)
    for ask in (
        lambda: explain_image(three, image[0], labels=names),
        lambda: MaskedModel(three, image, feature_mask=mask, labels=names),
        lambda: FocaLogic(three, labels=names).explain(image, feature_mask=mask),
    ):
        with pytest.raises(InputError, match=rf"{len(names)} names for the 3 classes that the model gives"):
            ask()


@pytest.mark.parametrize("baseline", ["black", 0.0, torch.zeros(1, 3, 1, 1), torch.zeros_like])
def test_the_second_fill_is_another_one_whatever_the_first_is_called(baseline) -> None:
    scene = draw_scene(22, label=1)
    answer = explain_image("demo", scene.image, segmenter=scene.labels, baseline=baseline)
    assert answer.trust.second_fill.baseline == "mean"


def test_names_do_not_command_a_terminal_that_an_answer_is_printed_on() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2Jred\u202eder\r"
    image = np.full((6, 6, 3), (200, 10, 10), np.uint8)
    answer = explain_image(lambda x: x.mean((2, 3)), image, segmenter="grid:2x2", labels=[hostile, "b", "c"])
    certificate = replace(answer.focus.certificate, strategy=hostile, complete="no")
    printed = [
        str(answer),
        str(certificate),
        str(answer.trust),
        str(
            verify(
                answer.focus,
                lambda x: x.mean((2, 3)),
                torch.from_numpy(image).permute(2, 0, 1)[None] / 255,
                labels=[hostile, "b", "c"],
            )
        ),
    ]
    for text in printed:
        assert all(map(str.isprintable, text.split("\n"))), text
    assert "\\x1b]0;owned" in printed[0]
