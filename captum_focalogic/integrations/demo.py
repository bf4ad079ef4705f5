"""The network of the embedded scenes, by name: the model whose reasons are known."""

from pathlib import Path

from PIL import Image

from captum_focalogic.classifier import Classifier
from captum_focalogic.demo.network import load_model
from captum_focalogic.demo.rules import CLASS_NAMES
from captum_focalogic.demo.scenes import SceneConfig
from captum_focalogic.integrations.weights import load_weights


def load_classifier(_: str = "", weights: str | Path | None = None) -> Classifier:
    """The embedded network; ``weights`` is a file with a state dict in place of its own."""
    model = load_model()
    if weights is not None:
        load_weights(model, weights)
    return Classifier.fitted(model, centre_square, CLASS_NAMES, "demo")


def centre_square(image: Image.Image, nearest: bool = False) -> Image.Image:
    """The largest centred square of an image or, with ``nearest``, of a label map, in the size of a scene."""
    edge, side = min(image.size), SceneConfig().size
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    square = image.crop((left, top, left + edge, top + edge))
    return square.resize((side, side), Image.Resampling.NEAREST if nearest else Image.Resampling.LANCZOS)
