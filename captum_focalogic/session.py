"""What a question is about, opened once: the model, the image as it sees it, its regions and its baselines.

The classifier's preprocessing makes of an image what the model sees (:class:`SeenImage`), a segmenter cuts that into
regions, and a baseline says what dropped regions are replaced by (:class:`Session`).
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from captum_focalogic import segmenters
from captum_focalogic.arrays import Labels
from captum_focalogic.baselines import baseline_from_text
from captum_focalogic.classifier import Classifier, as_classifier, find_classifier, find_device, with_preprocess
from captum_focalogic.criteria import OutputKind, Outputs, Over, as_criterion, class_number, criterion_text
from captum_focalogic.errors import InputError, warn
from captum_focalogic.images import check_seen, image_tensor, open_image
from captum_focalogic.masked_model import MaskedModel, RowsPerCall
from captum_focalogic.oracle import AnyCriterion, Batching, batching_for
from captum_focalogic.oracle.turns import my_turn
from captum_focalogic.preprocess import Normalisation
from captum_focalogic.provenance import Removal
from captum_focalogic.regions import as_label_map, label_map_of
from captum_focalogic.segmenters import ForwardPass, Segmenter, segmenter_from_text

if TYPE_CHECKING:
    from captum_focalogic.demo.scenes import Scene

SEGMENTER = "slic:12"
BASELINE = "mean"
CRITERION = "top1+0.5"
"""When a region set counts as enough, unless told otherwise: the class stays, with half of its probability."""

Fill = str | float | Tensor | Callable[..., Tensor]
"""What dropped regions are replaced by: a name, a shade of grey, values, or a function of inputs (and feature mask)."""

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class SeenImage:
    """An image as the model sees it.

    Attributes
    ----------
    title : str
        What it is called.
    pixels : (3, H, W) Tensor
        In [0, 1].
    size : tuple of int
        Width and height of the image before it was fitted to the model.
    segmenter : Segmenter or str
        What cuts it unless the user says otherwise.
    scene : Scene or None
        The embedded scene it is, if it is one.
    """

    title: str
    pixels: Tensor
    size: tuple[int, int]
    segmenter: Segmenter | str = SEGMENTER
    scene: "Scene | None" = None

    @property
    def seen_size(self) -> tuple[int, int]:
        """Height and width of what the model sees."""
        return self.pixels.shape[1], self.pixels.shape[2]


@dataclass(frozen=True, eq=False)
class Session:
    """A model, an image, its regions and its baselines: all that is needed to ask.

    Attributes
    ----------
    classifier : Classifier
        On the device.
    image : SeenImage
        The image.
    label_map : (H, W) int64
        Region of every pixel.
    inputs, baselines : (1, 3, H, W) Tensor
        On the device.
    feature_mask : (1, 1, H, W) int64 Tensor
        The label map, on the device.
    baseline : str
        What the baselines are called.
    """

    classifier: Classifier
    image: SeenImage
    label_map: Labels
    inputs: Tensor
    baselines: Tensor
    feature_mask: Tensor
    baseline: str

    @property
    def device(self) -> torch.device:
        """Where the model is asked."""
        return self.inputs.device

    @property
    def names(self) -> Mapping[int, str]:
        """What regions are called, where that is known."""
        scene = self.image.scene
        if scene is None or not np.array_equal(self.label_map, scene.labels):
            return {}
        return {item.region: str(item.kind) for item in scene.objects}


def see_image(image: Any, classifier: Classifier | None, title: str) -> SeenImage:
    """An image as a classifier sees it, or the whole of it.

    Raises
    ------
    InputError
        If it is no image that can be opened, or what the preprocessing makes of it is none in [0, 1].
    """
    opened = open_image(image)
    if classifier is None:
        return SeenImage(title, image_tensor(opened), opened.size)
    return SeenImage(title, check_seen(classifier.preprocess(opened)), opened.size)


def find_regions(
    image: SeenImage,
    classifier: Classifier | None,
    segmenter: Any = None,
    what: str = "the label map",
) -> Labels:
    """Region id of every pixel that the model sees, (H, W).

    Parameters
    ----------
    image : SeenImage
        What is cut.
    classifier : Classifier, optional
        The one that sees it so; fits label maps of the original's size.
    segmenter : str, callable, (H, W) integers or masks, optional
        What cuts the image, or a label map, or masks, of its size or of the seen size; the image's own segmenter by
        default.
    what : str
        What messages call a label map.

    Raises
    ------
    InputError
        If the segmenter or the label map cannot be used.
    """
    cut = image.segmenter if segmenter is None else segmenter
    if isinstance(cut, str):
        cut = segmenter_from_text(cut)
    elif not callable(cut):
        cut = label_map_of(cut)
    if callable(cut):
        forward_pass = None if classifier is None else _in_turn(ForwardPass.of(classifier.forward, image.pixels))
        return as_label_map(segmenters.cut(cut, image.pixels.expand(3, -1, -1), forward_pass), image.seen_size)
    (height, width), label_map = image.seen_size, np.asarray(cut)
    if label_map.shape == (height, width):
        return as_label_map(label_map, (height, width))
    seen = f"{width}x{height}"
    original = f"{image.size[0]}x{image.size[1]}"
    if label_map.shape != (image.size[1], image.size[0]):
        expected = seen if seen == original else f"{original} (the image's size) or {seen} (what the model sees)"
        given = f"{label_map.shape[1]}x{label_map.shape[0]} pixels (width x height)" if label_map.ndim == 2 else "none"
        raise InputError(f"{what} is {given}; expected {expected}")
    if classifier is None or classifier.preprocess_labels is None:
        raise InputError(
            f"{what} is of the image's size, {original}, but how the model's preprocess fits images is not known; "
            f"make it {seen}, the size that the model sees (focalogic segment IMAGE --model ... shows it)"
        )
    return as_label_map(classifier.preprocess_labels(as_label_map(label_map, label_map.shape)), (height, width))


def _in_turn(forward_pass: ForwardPass) -> ForwardPass:
    """The same, when it is this thread's turn to ask the model."""

    def run() -> object:
        with my_turn():
            return forward_pass.run()

    return replace(forward_pass, run=run)


def open_session(
    classifier: Classifier,
    image: Any,
    segmenter: Any = None,
    baseline: Fill = BASELINE,
    device: torch.device = CPU,
    *,
    title: str = "image",
    what: str = "the label map",
) -> Session:
    """What a classifier sees of an image, its regions and its baselines, where the model is.

    Parameters
    ----------
    classifier, device
        The model, and where it is.
    image : SeenImage, or as for :func:`explain_image`
        The image.
    segmenter, baseline
        As for :func:`explain_image`; by default the image's own segmenter.
    title : str
        What the image is called.
    what : str
        What messages call a label map.

    Raises
    ------
    InputError
        If one does not fit.
    """
    seen = image if isinstance(image, SeenImage) else see_image(image, classifier, title)
    label_map = find_regions(seen, classifier, segmenter, what)
    inputs = seen.pixels[None].to(device)
    feature_mask = torch.from_numpy(np.ascontiguousarray(label_map))[None, None].to(device)
    text = baseline if isinstance(baseline, str) else getattr(baseline, "__name__", None) or "values"
    baselines = _filled(baseline, inputs, feature_mask)
    return Session(classifier, seen, label_map, inputs, baselines, feature_mask, text)


def _filled(baseline: Fill, inputs: Tensor, feature_mask: Tensor) -> Tensor:
    """The values that dropped regions are replaced by, of the inputs' shape."""
    if isinstance(baseline, str):
        return baseline_from_text(baseline)(inputs, feature_mask)
    if isinstance(baseline, Tensor) or not callable(baseline):
        values = torch.as_tensor(baseline, dtype=inputs.dtype, device=inputs.device)
    else:
        values = baseline(inputs, feature_mask) if _arguments(baseline) > 1 else baseline(inputs)
    try:
        return values.expand_as(inputs)
    except (RuntimeError, AttributeError) as error:
        given = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise InputError(f"the baseline must broadcast to {tuple(inputs.shape)}; got {given}") from error


def _arguments(function: Callable[..., Any]) -> int:
    """How many arguments a function needs; 1 where it does not say, as those of torch and NumPy."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return 1
    return sum(parameter.default is parameter.empty for parameter in parameters)


def classifier_of(
    model: Any, preprocess: Any, normalisation: Normalisation | None, labels: Any, device: str | torch.device
) -> tuple[Classifier, torch.device]:
    """The model as a classifier, where it runs."""
    if isinstance(model, str):
        named = find_classifier(model)
        place = find_device(str(device))
        classifier = named.to(place)
    else:
        classifier = as_classifier(model)
        place = place_of(classifier.forward) if str(device) == "auto" else find_device(str(device))
        if str(device) != "auto" and isinstance(classifier.forward, nn.Module):
            classifier.forward.to(place)
    if preprocess is not None or normalisation is not None:
        classifier = with_preprocess(classifier, preprocess, normalisation)
        classifier = replace(classifier, forward=_on(classifier.forward, place))
    return (classifier if labels is None else replace(classifier, labels=labels)), place


def _on(forward: Any, place: torch.device) -> Any:
    """A model's normalisation beside it; nothing else is left to be moved."""
    return forward.to(place) if isinstance(forward, nn.Module) else forward


def place_of(forward: Any) -> torch.device:
    """Where a model's weights are."""
    weights = next(forward.parameters(), None) if isinstance(forward, nn.Module) else None
    return torch.device("cpu") if weights is None else weights.device


def masked_models(
    sessions: Sequence[Session],
    criterion: str | AnyCriterion,
    outputs: Outputs,
    target: int | str | None,
    removal: Removal,
    perturbations_per_eval: RowsPerCall | Batching,
) -> list[MaskedModel]:
    """One model an image; references of images of one size are asked in shared calls."""
    if not sessions:
        return []
    classifier = sessions[0].classifier
    wanted = class_number(target, classifier.labels) if isinstance(target, str) else target
    usual = criterion == CRITERION
    judged_by = as_criterion(criterion, classifier.labels)
    batching = batching_for(perturbations_per_eval, classifier.forward, (sessions[0].inputs,), {})
    models: dict[int, MaskedModel] = {}
    for shape in dict.fromkeys(session.inputs.shape for session in sessions):
        rows = [row for row, session in enumerate(sessions) if session.inputs.shape == shape]
        alike = [sessions[row] for row in rows]
        found = MaskedModel.batch(
            classifier.forward,
            torch.cat([session.inputs for session in alike]),
            torch.cat([session.baselines for session in alike]),
            wanted,
            feature_mask=torch.cat([session.feature_mask for session in alike]),
            # What the numbers are is known once they are there: the usual criterion needs probabilities.
            criterion="top1" if usual else judged_by,
            outputs=outputs,
            removal=removal,
            batching=batching,
        )
        found[0].check_labels(classifier.labels)
        models.update(zip(rows, found, strict=True))
    return [_usual(models[row], judged_by) if usual else models[row] for row in range(len(sessions))]


def contrast(criterion: str | AnyCriterion, against: int | str, classifier: Classifier) -> AnyCriterion:
    """The criterion that holds the target against another class."""
    if criterion != CRITERION:
        given = criterion if isinstance(criterion, str) else criterion_text(criterion)
        raise InputError(f"criterion {given!r} and against={against!r} both say what is enough; give one of them")
    return Over(class_number(against, classifier.labels))


def _usual(model: MaskedModel, judged_by: AnyCriterion) -> MaskedModel:
    """The model under the usual criterion, or under what is nearest to it where there are no probabilities."""
    if model.kind not in (OutputKind.LABELS, OutputKind.SCORE):
        view = model.under(judged_by)
        view.ask(np.ones((1, model.num_regions), dtype=np.bool_))
        return view
    only = "labels" if model.kind == OutputKind.LABELS else "one number of no known scale"
    warn(
        f"the model gives {only}, of which no share can be asked for: a region set is enough where the answer stays "
        "the same; pass criterion= to ask otherwise"
    )
    return model
