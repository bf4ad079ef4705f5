"""Scenes as tensors, and training batches of them with regions taken away.

An explanation shows a model images of which regions have been replaced by a baseline. A network that has never seen
such an image answers at random there, so the embedded one is trained on them, with the class that the rule gives to
the objects that are left.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from captum_focalogic.demo.rules import RULE_KINDS, labels_from_presence
from captum_focalogic.demo.scenes import Scene

BASELINES: dict[str, float] = {"black": 0.45, "mean": 0.2, "noise": 0.15, "white": 0.1, "blur": 0.1}
"""What stands in for a region that is taken away, and in which share of the masked training images."""


@dataclass(frozen=True, eq=False)
class SceneSet:
    """Many scenes in a form that batches can be cut from.

    Attributes
    ----------
    images : Tensor of uint8, shape (N, 3, H, W)
        RGB, 0 to 255.
    regions : Tensor of uint8, shape (N, H, W)
        Region ids, 1 and up.
    kinds : ndarray of int64, shape (N, R)
        For region r + 1 of scene n: the index of its kind in ``RULE_KINDS``, -1 if no rule speaks of it. R is the
        largest region id in the set.
    labels : ndarray of int64, shape (N,)
        Classes of the whole scenes.
    """

    images: torch.Tensor
    regions: torch.Tensor
    kinds: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def from_scenes(cls, scenes: Iterable[Scene]) -> "SceneSet":
        """Collect scenes of one size; they may come from a generator."""
        images, regions, kinds, labels = [], [], [], []
        for scene in scenes:
            images.append(torch.from_numpy(np.rint(scene.image * 255.0).astype(np.uint8)))
            regions.append(torch.from_numpy(scene.labels.astype(np.uint8)))
            kinds.append({item.region: item.kind for item in scene.objects if item.kind in RULE_KINDS})
            labels.append(scene.label)
        all_regions = torch.stack(regions)
        table = np.full((len(labels), int(all_regions.max())), -1, dtype=np.int64)
        for row, known in enumerate(kinds):
            for region, kind in known.items():
                table[row, region - 1] = RULE_KINDS.index(kind)
        return cls(torch.stack(images), all_regions, table, np.array(labels, dtype=np.int64))

    def batches(
        self, size: int, masked_share: float, generator: torch.Generator, remaining: bool = True
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """One pass over the set in random order, regions taken away at random.

        Parameters
        ----------
        size : int
            Images in a batch; an incomplete last batch is left out.
        masked_share : float
            Share of the images that lose regions, each at random.
        generator : torch.Generator
            Source of every random choice.
        remaining : bool
            Label images by what is left of them, else by the whole scene.

        Yields
        ------
        images : Tensor of float32, shape (size, 3, H, W)
            RGB in [0, 1].
        labels : Tensor of int64, shape (size,)
        """
        for rows, kept, images in self.occluded(size, masked_share, generator):
            labels = self.labels_of(rows.numpy(), kept.numpy()) if remaining else self.labels[rows.numpy()]
            yield images, torch.from_numpy(labels)

    def occluded(
        self, size: int, masked_share: float, generator: torch.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """One pass over the set in random order, regions taken away at random, without labels.

        Parameters
        ----------
        size, masked_share, generator
            See :meth:`batches`.

        Yields
        ------
        rows : Tensor of int64, shape (size,)
            Which scenes of the set.
        kept : Tensor of bool, shape (size, R)
            Whether region r + 1 is left.
        images : Tensor of float32, shape (size, 3, H, W)
            RGB in [0, 1].
        """
        order = torch.randperm(len(self), generator=generator)
        for start in range(0, len(self) - size + 1, size):
            rows = order[start : start + size]
            images = self.images[rows].float() / 255.0
            kept = self._random_states(size, masked_share, generator)
            yield rows, kept, occlude(images, self.regions[rows], kept, generator)

    def _random_states(self, size: int, masked_share: float, generator: torch.Generator) -> torch.Tensor:
        # Few and many regions are left equally often, so that every level of a search has been seen.
        share_kept = 0.2 + 0.75 * torch.rand(size, 1, generator=generator)
        whole = torch.rand(size, 1, generator=generator) >= masked_share
        return whole | (torch.rand(size, self.kinds.shape[1], generator=generator) < share_kept)

    def labels_of(self, rows: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Class of each scene when only some regions are kept.

        Parameters
        ----------
        rows : ndarray of int64, shape (B,)
            Scenes of this set.
        kept : ndarray of bool, shape (B, R)
            Whether region r + 1 is kept.

        Returns
        -------
        ndarray of int64, shape (B,)
        """
        kinds = np.where(kept, self.kinds[rows], -1)
        return labels_from_presence((kinds[:, :, None] == np.arange(len(RULE_KINDS))).any(axis=1))


def occlude(
    images: torch.Tensor, regions: torch.Tensor, kept: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Replace the regions that are not kept by a baseline drawn for each image from `BASELINES`.

    Parameters
    ----------
    images : Tensor of float32, shape (B, 3, H, W)
    regions : Tensor of integers, shape (B, H, W)
        Region ids, 1 and up.
    kept : Tensor of bool, shape (B, R)
    generator : torch.Generator

    Returns
    -------
    Tensor of float32, shape (B, 3, H, W)
    """
    here = kept.gather(1, regions.flatten(1).long() - 1).view(regions.shape)
    names = list(BASELINES)
    chosen = torch.multinomial(torch.tensor(list(BASELINES.values())), len(images), True, generator=generator)
    fill = torch.zeros_like(images)
    for index, name in enumerate(names):
        rows = chosen == index
        fill[rows] = baseline(name, images[rows], generator)
    return torch.where(here[:, None], images, fill)


def baseline(name: str, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Images to fill regions with, by name: black, mean (colour of each image), noise, white or blur."""
    if name == "mean":
        return images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    if name == "noise":
        return torch.rand(images.shape, generator=generator)
    if name == "blur":
        coarse = functional.avg_pool2d(images, 8, ceil_mode=True)
        smooth = functional.avg_pool2d(coarse, 3, 1, 1, count_include_pad=False)
        return functional.interpolate(smooth, images.shape[2:], mode="bilinear", align_corners=False)
    return torch.full_like(images, 1.0 if name == "white" else 0.0)
