"""Mask generation through transformers: SAM, SAM 2, SAM 3's tracker, SAM-HQ and EdgeTAM by one class."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from captum_focalogic.errors import InputError
from captum_focalogic.images import resize_image
from captum_focalogic.integrations.hub import first_line, import_transformers, pretrained
from captum_focalogic.integrations.mask_cache import Masks
from captum_focalogic.integrations.mask_segmenter import MIN_AREA, Cache, MaskSegmenter, best_device, stacked
from captum_focalogic.integrations.segment_anything import POINTS_PER_SIDE

OPTIONS = (
    "points_per_crop",
    "points_per_batch",
    "pred_iou_thresh",
    "stability_score_thresh",
    "stability_score_offset",
    "mask_threshold",
    "crops_n_layers",
    "crops_nms_thresh",
    "crop_overlap_ratio",
    "crop_n_points_downscale_factor",
    "max_hole_area",
    "max_sprinkle_area",
)
"""What :class:`TransformersSegmenter` passes on to the mask generation pipeline."""


class TransformersSegmenter(MaskSegmenter):
    """Cut images with any mask generator of transformers.

    Parameters
    ----------
    model : str, Path or PreTrainedModel
        A hub id ("facebook/sam-vit-base", "facebook/sam2.1-hiera-tiny", "facebook/sam3",
        "syscv-community/sam-hq-vit-base", "yonigozlan/EdgeTAM-hf"), a local folder, or a model.
    image_processor : object, optional
        The model's image processor; needed with a model object, loaded otherwise.
    cache : str, Path, True or None, default True
        Where masks are kept, by image, settings and weights; True is the user's cache folder, None keeps none.
    min_area : float, default 1e-3
        Share of the image below which a region joins the extra one.
    device : str or torch.device, optional
        An accelerator where there is one; a model object stays where it is.
    **options
        Those of the pipeline (:data:`OPTIONS`): ``points_per_crop`` (points a side; 12 here), ``points_per_batch``
        (points the network sees at once), ``pred_iou_thresh``, ``stability_score_thresh``, …

    Raises
    ------
    MissingExtraError
        Without transformers.
    HubError
        If an id cannot be fetched.
    InputError
        If the model generates no masks, or an option is unknown.

    Notes
    -----
    SAM 2 and its successors stretch images to a square, but the pipeline lays its grid of points as if the aspect
    ratio were kept, so that the bottom or right part of an image that is not square would get no points. Images are
    therefore made square before they reach it, and the masks are brought back to the image's size.

    Examples
    --------
    >>> segmenter = TransformersSegmenter("facebook/sam2.1-hiera-tiny", points_per_crop=9)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Any,
        image_processor: Any = None,
        *,
        cache: Cache = True,
        min_area: float = MIN_AREA,
        device: str | torch.device | None = None,
        **options: Any,
    ) -> None:
        super().__init__(cache, min_area)
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise InputError(f"the mask generation pipeline has no option {unknown[0]!r}; it has {', '.join(OPTIONS)}")
        self.options = {"points_per_crop": POINTS_PER_SIDE, **options}
        transformers = import_transformers()
        if isinstance(model, str | Path):
            name = model
            model = pretrained(transformers.AutoModelForMaskGeneration, name).to(best_device(device))
            image_processor = image_processor or pretrained(transformers.AutoImageProcessor, name)
        elif image_processor is None:
            raise InputError("a model object needs its image_processor, such as AutoImageProcessor.from_pretrained(id)")
        self._pipeline = _pipeline(transformers, model.eval(), image_processor)
        self._stretches = "longest_edge" not in image_processor.size

    @classmethod
    def from_text(cls, text: str) -> "TransformersSegmenter":
        """A segmenter from what stands behind its name; from "facebook/sam-vit-base" if that is nothing."""
        return cls(text or "facebook/sam-vit-base")

    @property
    def network(self) -> nn.Module:
        """The model."""
        model: nn.Module = self._pipeline.model
        return model

    @property
    def advice(self) -> str:
        """What to change where masks are too few."""
        return "lower pred_iou_thresh or stability_score_thresh, or raise points_per_crop"

    def settings(self) -> dict[str, Any]:
        """Everything but the weights that masks depend on."""
        processor = self._pipeline.image_processor
        return {"segmenter": "transformers", "processor": processor.to_json_string(), **self.options}

    def _generate(self, pixels: NDArray[np.uint8]) -> Masks:
        height, width = pixels.shape[:2]
        picture = Image.fromarray(pixels)
        if self._stretches and height != width:
            picture = resize_image(picture, max(height, width), max(height, width), Image.Resampling.BICUBIC)
        found = self._pipeline(picture, **self.options)["masks"]
        masks = stacked([_on_cpu(mask) for mask in found], (picture.height, picture.width))
        rows = np.arange(height) * picture.height // height
        columns = np.arange(width) * picture.width // width
        return masks[:, rows][:, :, columns]


def _pipeline(transformers: Any, model: Any, image_processor: Any) -> Any:
    try:
        generator = transformers.pipeline(
            "mask-generation", model=model, image_processor=image_processor, device=model.device
        )
    except (ValueError, KeyError) as error:
        raise InputError(f"{type(model).__name__} generates no masks: {first_line(error)}") from error
    if not hasattr(model, "get_image_embeddings"):
        raise InputError(
            f"{type(model).__name__} generates no masks; give a SAM, SAM 2, SAM 3 tracker, SAM-HQ or EdgeTAM model"
        )
    return generator


def _on_cpu(mask: Any) -> Any:
    return mask.detach().cpu().numpy() if isinstance(mask, torch.Tensor) else mask
