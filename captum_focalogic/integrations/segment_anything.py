"""Segment Anything, by the package of its authors (Kirillov et al. 2023), as the paper uses it."""

import inspect
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from captum_focalogic.errors import InputError, warn
from captum_focalogic.integrations.masks import Cache, Masks, MaskSegmenter, best_device, stacked
from captum_focalogic.integrations.weights import fetching, fit_weights, read_state_dict
from captum_focalogic.regions import MIN_AREA

POINTS_PER_SIDE = 12
"""The middle one of the paper's grids, which are 9, 12 and 15 points a side."""

CHECKPOINTS = {
    "vit_b": "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth",
    "vit_l": "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_l_0b3195.pth",
    "vit_h": "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_h_4b8939.pth",
}
"""Where the published weights are."""

_WIDTHS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
_POSITIONS = "image_encoder.pos_embed"


class SamSegmenter(MaskSegmenter):
    """Cut images with Segment Anything's automatic masks (paper section 3.6).

    Parameters
    ----------
    sam_or_checkpoint : nn.Module, str or Path
        A ``segment_anything.modeling.Sam``, the file of a checkpoint, or ``"vit_b"``, ``"vit_l"`` or ``"vit_h"`` for
        the published weights, which are downloaded once (0.4, 1.2 and 2.6 GB).
    model_type : str, optional
        Of a checkpoint: one of ``segment_anything.sam_model_registry``. Found from the checkpoint by default.
    cache : str, Path, True or None, default True
        Where masks are kept, by image, settings and weights; True is the user's cache folder
        (``$FOCALOGIC_CACHE/masks`` where that is set), None keeps none.
    min_area : float, default 1e-3
        Share of the image below which a region joins the extra one.
    device : str or torch.device, optional
        For checkpoints; an accelerator where there is one. A model stays where it is.
    **options
        Those of ``segment_anything.SamAutomaticMaskGenerator``: ``points_per_side`` (12 here; the paper has 9, 12 and
        15), ``points_per_batch``, ``pred_iou_thresh``, ``stability_score_thresh``, ``box_nms_thresh``, …

    Raises
    ------
    InputError
        If the checkpoint cannot be read or is of another model type, or an option is unknown.
    HubError
        If published weights cannot be downloaded.

    Examples
    --------
    >>> segmenter = SamSegmenter("sam_vit_b_01ec64.pth", points_per_side=9)  # doctest: +SKIP
    >>> FocaLogic(model, segmenter=segmenter).explain(images)  # doctest: +SKIP
    """

    def __init__(
        self,
        sam_or_checkpoint: nn.Module | str | Path,
        model_type: str | None = None,
        *,
        cache: Cache = True,
        min_area: float = MIN_AREA,
        device: str | torch.device | None = None,
        **options: Any,
    ) -> None:
        super().__init__(cache, min_area)
        from segment_anything import SamAutomaticMaskGenerator

        if options.get("point_grids") is None:
            options.setdefault("points_per_side", POINTS_PER_SIDE)
        else:
            options.setdefault("points_per_side", None)
        self.options = _checked_options(SamAutomaticMaskGenerator, options)
        if isinstance(sam_or_checkpoint, nn.Module):
            sam = sam_or_checkpoint
        else:
            sam = load_sam(sam_or_checkpoint, model_type).to(best_device(device)).eval()

        class Generator(SamAutomaticMaskGenerator):  # type: ignore[misc]
            def _process_crop(self, *crop: Any) -> Any:
                """As it is, but where nothing is found: the boxes of no masks are none of four numbers, not none."""
                found = super()._process_crop(*crop)
                found["crop_boxes"] = found["crop_boxes"].reshape(-1, 4)
                return found

        self._generator = Generator(sam, **self.options)

    @classmethod
    def from_text(cls, text: str) -> "SamSegmenter":
        """A segmenter from what stands behind its name; from "vit_b" if that is nothing."""
        return cls(text or "vit_b")

    @property
    def network(self) -> nn.Module:
        """The Sam model."""
        model: nn.Module = self._generator.predictor.model
        return model

    @property
    def advice(self) -> str:
        """What to change where masks are too few."""
        return "lower pred_iou_thresh or stability_score_thresh, or raise points_per_side"

    def settings(self) -> dict[str, Any]:
        """Everything but the weights that masks depend on."""
        options = dict(self.options)
        if options.get("point_grids") is not None:
            options["point_grids"] = [np.asarray(grid).tolist() for grid in options["point_grids"]]
        return {"segmenter": "segment-anything", **options}

    def _generate(self, pixels: NDArray[np.uint8]) -> Masks:
        records = self._generator.generate(pixels)
        self._generator.predictor.reset_image()
        return stacked([record["segmentation"] for record in records], pixels.shape[:2])


def load_sam(checkpoint: str | Path, model_type: str | None = None) -> nn.Module:
    """A Sam model from a checkpoint's file, or ``"vit_b"``, ``"vit_l"`` or ``"vit_h"``; see :class:`SamSegmenter`."""
    from segment_anything import sam_model_registry

    if model_type is not None and model_type not in sam_model_registry:
        raise InputError(f"model_type must be one of {', '.join(sam_model_registry)}; got {model_type!r}")
    name = str(checkpoint)
    published = name in CHECKPOINTS and not Path(name).exists()
    weights = _download(name) if published else read_state_dict(checkpoint)
    found = _type_of(weights)
    wanted = {"default": "vit_h"}.get(str(model_type), model_type)
    if found and wanted and found != wanted:
        raise InputError(f"{checkpoint} is the checkpoint of a {found}, not of a {wanted}; pass model_type={found!r}")
    if not (found or wanted):
        raise InputError(
            f"{checkpoint} is no Segment Anything checkpoint that is known here ({', '.join(CHECKPOINTS)}); pass its "
            "model_type, or build the model yourself and pass that"
        )
    return fit_weights(sam_model_registry[wanted or found](checkpoint=None), weights, checkpoint)


def _type_of(weights: dict[str, Tensor]) -> str | None:
    positions = weights.get(_POSITIONS)
    return None if positions is None else _WIDTHS.get(positions.shape[-1])


def _download(name: str) -> dict[str, Tensor]:
    url = CHECKPOINTS[name]
    instead = f"download {url} elsewhere and give the file (SamSegmenter(FILE), --weights FILE)"
    with fetching(f"Segment Anything's {name}", failures=(URLError, OSError, RuntimeError), instead=instead):
        weights: dict[str, Tensor] = torch.hub.load_state_dict_from_url(url, map_location="cpu", weights_only=True)
    return weights


def _checked_options(generator: Any, options: dict[str, Any]) -> dict[str, Any]:
    known = [name for name in inspect.signature(generator.__init__).parameters if name not in ("self", "model")]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InputError(
            f"SamAutomaticMaskGenerator has no option {unknown[0]!r}; it has {', '.join(known)}, and SamSegmenter "
            "adds cache, min_area and device"
        )
    points = options.get("points_per_side")
    if points is not None and (isinstance(points, bool) or not isinstance(points, int) or points < 1):
        raise InputError(f"points_per_side must be a whole number of at least 1; got {points!r}")
    if options.pop("output_mode", "binary_mask") != "binary_mask":
        warn("output_mode is ignored: a segmenter needs binary masks")
    return options
