"""How a model removes regions: filled from outside, or left out by the model itself, which is proved first."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic import names
from captum_focalogic.arrays import Labels
from captum_focalogic.errors import InputError, warn
from captum_focalogic.masking import Example
from captum_focalogic.oracle.forward import Forward
from captum_focalogic.provenance import REMOVALS
from captum_focalogic.regions import partition_from_masks, snap_to_patches


def check_removal(removal: str) -> None:
    """Refuse what is no way of removing."""
    if removal not in REMOVALS:
        raise InputError(f"removal must be one of {', '.join(REMOVALS)}; got {removal!r}")


def remover(removal: str, forward_func: Callable[..., Any]) -> Callable[..., Any]:
    """The model as one that can remove regions so."""
    check_removal(removal)
    if removal == "fill":
        return forward_func
    return cast(Callable[..., Any], names.import_object(names.REMOVERS[removal])(forward_func))


def removing(removal: str, forward_func: Callable[..., Any], examples: list[Example]) -> Callable[..., Any]:
    """The model as one that can remove regions of these examples so."""
    check_removal(removal)
    if removal == "fill":
        return forward_func
    columns = examples[0].partition.columns
    one_image = len(columns) == 1 and examples[0].inputs[0].dim() == 4
    if not one_image or (columns[0].dim() == 3 and len(columns[0]) != 1):
        raise InputError(f"removal={removal!r} needs one image an example, whose channels share their regions")
    return remover(removal, forward_func)


def whole_patches(label_map: Labels, model: Callable[..., Any]) -> tuple[Labels, NDArray[np.int64]]:
    """A label map (H, W) made of whole patches of the model, where it has such, and the regions that win none."""
    if not hasattr(model, "patches"):
        return label_map, np.zeros(0, dtype=np.int64)
    snapped = snap_to_patches(torch.from_numpy(label_map), model.patches(label_map.shape)).numpy()
    return snapped, np.setdiff1d(label_map, snapped)


def warn_of_lost(name: str, lost: NDArray[np.int64]) -> None:
    """Say which regions of an image are lost, where some are."""
    if len(lost):
        warn(
            f"{name}: region(s) {', '.join(map(str, lost.tolist()))} have most of no patch of the model, so that they "
            "cannot be left out by themselves: they go with what surrounds them, and their weight is 0"
        )


def snapped(examples: list[Example], model: Callable[..., Any]) -> tuple[tuple[NDArray[np.int64], ...], list[Example]]:
    """Examples whose regions are whole patches of the model, and the regions of each that win none."""
    if not hasattr(model, "patches"):
        return (), examples
    height, width = examples[0].inputs[0].shape[2:]
    patches = model.patches((height, width))
    lost, snapped = [], []
    for number, example in enumerate(examples):
        region_ids = torch.from_numpy(example.partition.region_ids)
        mask = region_ids.to(example.partition.columns[0].device)[example.partition.columns[0]]
        partition = partition_from_masks([snap_to_patches(mask, patches)], [example.inputs[0].shape[1:]])
        gone = np.setdiff1d(example.partition.region_ids, partition.region_ids)
        warn_of_lost(f"example {number}", gone)
        lost.append(gone)
        snapped.append(replace(example, partition=partition))
    return tuple(lost), snapped


_SHARE_OFF = {torch.float64: 1e-8, torch.float32: 1e-3}
"""How far outputs of the same question may be apart, as a share of the largest, by the outputs' precision."""


PROOF_ROWS = 4
"""How many rows the proof asks about."""


def prove(forward: Forward, example: Example, whole: Tensor) -> None:
    """Refuse a model that says otherwise with all kept, or to which left-out pixels or other rows make a difference."""
    (image,), columns = example.inputs, example.partition.columns[0]
    columns = columns.expand(1, *image.shape[2:])
    # Of few regions: the more is left out, the more shows where it is not, and the less it costs.
    part = columns < max(1, example.partition.num_regions // 4)
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(0)).to(image)
    index = torch.zeros(2, dtype=torch.int64, device=image.device)
    first = forward.masked((torch.cat([image, image]),), torch.cat([torch.ones_like(part), part]), index)
    # The second time beside a longer row, so that the shorter one is padded where the model pads.
    images = torch.cat([torch.where(part, image, noise), image])
    second = forward.masked((images,), torch.cat([part, _one_patch_more(forward, part)]), index)
    everything, left, noisy, _ = (row.double().nan_to_num() for row in torch.cat([first, second]).cpu())
    expected = whole[0].cpu().double()
    off = _SHARE_OFF.get(first.dtype, 5e-2) * max(1e-6, float(expected.abs().max()))
    if not torch.allclose(everything, expected, rtol=0, atol=off):
        raise InputError(
            "removal='tokens' is refused: with every region kept, the model that leaves pixels out says "
            f"{_largest_gap(everything, expected):.3g} off what the model itself says. Use removal='fill'"
        )
    if not torch.allclose(left, noisy, rtol=0, atol=off):
        raise InputError(
            "removal='tokens' is refused: noise in pixels that are left out, or another row beside it, changes the "
            f"model's answer by {_largest_gap(left, noisy):.3g}. Use removal='fill'"
        )


def _one_patch_more(forward: Forward, part: Tensor) -> Tensor:
    """What is there (1, H, W), and the first patch that is not; the same where there are no patches, or no more."""
    patches = forward.patches((part.shape[1], part.shape[2]))
    if patches is None or bool(part.all()):
        return part
    patches = patches.to(part.device)
    more: Tensor = part | (patches == patches[~part[0]][0])
    return more


def _largest_gap(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())
