"""Ground truth from a label's text: Grounded-SAM (Ren et al. 2024) and SAM 3, through transformers."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from captum_focalogic.classifier import evaluating
from captum_focalogic.errors import InputError
from captum_focalogic.ground_truth import GroundTruth, nothing
from captum_focalogic.images import open_image
from captum_focalogic.integrations.masks import best_device
from captum_focalogic.integrations.weights import import_transformers, pretrained


class GroundedSam:
    """Boxes that a detector finds for the label's text, and the mask that SAM draws in each (paper section 3.4).

    Parameters
    ----------
    detector : str, Path or PreTrainedModel
        A zero-shot object detector: "IDEA-Research/grounding-dino-tiny", a local folder, or a Grounding DINO model.
    sam : str, Path or PreTrainedModel
        A mask generator that takes boxes: "facebook/sam-vit-base", a local folder, or a SAM or SAM 2 model.
    detector_processor, sam_processor : object, optional
        Needed with model objects, loaded otherwise.
    threshold : float, default 0.25
        Least confidence of a box.
    text_threshold : float, default 0.25
        Least likeness of a box to a word.
    device : str or torch.device, optional
        An accelerator where there is one; model objects stay where they are.

    Raises
    ------
    MissingExtraError
        Without transformers.
    HubError
        If an id cannot be fetched.
    InputError
        If a model object comes without its processor.
    """

    def __init__(
        self,
        detector: Any = "IDEA-Research/grounding-dino-tiny",
        sam: Any = "facebook/sam-vit-base",
        *,
        detector_processor: Any = None,
        sam_processor: Any = None,
        threshold: float = 0.25,
        text_threshold: float = 0.25,
        device: str | torch.device | None = None,
    ) -> None:
        transformers = import_transformers()
        self.detector, self.detector_processor = _with_processor(
            transformers.AutoModelForZeroShotObjectDetection, detector, detector_processor, device
        )
        self.sam, self.sam_processor = _with_processor(
            transformers.AutoModelForMaskGeneration, sam, sam_processor, device
        )
        self.threshold = threshold
        self.text_threshold = text_threshold

    @classmethod
    def from_text(cls, text: str) -> "GroundedSam":
        """A source from what stands behind its name; the usual one from nothing."""
        return cls(text) if text else cls()

    def __call__(self, image: Tensor, label: str, name: str = "") -> GroundTruth:  # noqa: ARG002 (a GroundTruthSource)
        """Masks of what the label names in an image (3, H, W) in [0, 1]; none where nothing is found."""
        shown = open_image(image)
        boxes = self.boxes(shown, label) if label else None
        if boxes is None or not len(boxes):
            return nothing((shown.height, shown.width))
        return GroundTruth(self._masks(shown, boxes), (label,) * len(boxes))

    @torch.no_grad()
    def boxes(self, image: Image.Image, label: str) -> NDArray[np.float64]:
        """Boxes (left, top, right, bottom) in pixels that the detector finds, (K, 4)."""
        # Grounding DINO was trained on lower-case phrases that end in a full stop.
        text = f"{label.strip().casefold().rstrip('.')}."
        inputs = self.detector_processor(images=image, text=text, return_tensors="pt").to(self.detector.device)
        with evaluating(self.detector):
            said = self.detector(**inputs)
        found = self.detector_processor.post_process_grounded_object_detection(
            said,
            inputs["input_ids"],
            threshold=self.threshold,
            text_threshold=self.text_threshold,
            target_sizes=[(image.height, image.width)],
        )[0]
        return np.asarray(found["boxes"].double().cpu().numpy())

    @torch.no_grad()
    def _masks(self, image: Image.Image, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        inputs = self.sam_processor(images=image, input_boxes=[boxes.tolist()], return_tensors="pt")
        sizes = inputs["original_sizes"]
        reshaped = inputs.get("reshaped_input_sizes")
        with evaluating(self.sam):
            drawn = self.sam(**inputs.to(self.sam.device), multimask_output=False).pred_masks
        masks = self.sam_processor.image_processor.post_process_masks(
            drawn.cpu(), sizes.tolist(), reshaped_input_sizes=None if reshaped is None else reshaped.tolist()
        )[0]
        return np.asarray(masks[:, 0].numpy(), dtype=np.bool_)


class Sam3Truth:
    """Masks that SAM 3 finds for the label's text.

    Parameters
    ----------
    model : str, Path or PreTrainedModel
        "facebook/sam3", a local folder, or a ``Sam3Model``.
    processor : object, optional
        Needed with a model object, loaded otherwise.
    threshold : float, default 0.5
        Least confidence of an object.
    mask_threshold : float, default 0.5
        Least probability of a pixel.
    device : str or torch.device, optional
        An accelerator where there is one; a model object stays where it is.
    """

    def __init__(
        self,
        model: Any = "facebook/sam3",
        processor: Any = None,
        *,
        threshold: float = 0.5,
        mask_threshold: float = 0.5,
        device: str | torch.device | None = None,
    ) -> None:
        transformers = import_transformers()
        if not hasattr(transformers, "Sam3Model"):
            raise InputError(
                f"transformers {transformers.__version__} has no SAM 3; pip install -U transformers (5 or later)"
            )
        self.model, self.processor = _with_processor(transformers.Sam3Model, model, processor, device)
        self.threshold = threshold
        self.mask_threshold = mask_threshold

    @classmethod
    def from_text(cls, text: str) -> "Sam3Truth":
        """A source from what stands behind its name; the usual one from nothing."""
        return cls(text) if text else cls()

    @torch.no_grad()
    def __call__(self, image: Tensor, label: str, name: str = "") -> GroundTruth:  # noqa: ARG002 (a GroundTruthSource)
        """Masks of what the label names in an image (3, H, W) in [0, 1]; none where nothing is found."""
        shown = open_image(image)
        if not label:
            return nothing((shown.height, shown.width))
        inputs = self.processor(images=shown, text=label, return_tensors="pt").to(self.model.device)
        with evaluating(self.model):
            said = self.model(**inputs)
        found = self.processor.post_process_instance_segmentation(
            said,
            threshold=self.threshold,
            mask_threshold=self.mask_threshold,
            target_sizes=[(shown.height, shown.width)],
        )[0]["masks"]
        masks = found.cpu().numpy().astype(np.bool_).reshape(-1, shown.height, shown.width)
        return GroundTruth(masks, (label,) * len(masks))


def _with_processor(auto_class: Any, model: Any, processor: Any, device: Any) -> tuple[Any, Any]:
    transformers = import_transformers()
    if isinstance(model, str | Path):
        name = model
        model = pretrained(auto_class, name).to(best_device(device))
        processor = processor or pretrained(transformers.AutoProcessor, name)
    elif processor is None:
        raise InputError(f"a {type(model).__name__} object needs its processor; pass it too")
    return model, processor
