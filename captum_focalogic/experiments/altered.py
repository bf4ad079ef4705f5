"""Images that are explained in an altered form: with noise, or attacked.

The regions and the truth are those of the image as it was, so that a difference is the model's and not the segmenter's.
Everything is kept in the workshop, so that a run that is continued explains the same images.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from captum_focalogic.experiments.workshop import Workshop
from captum_focalogic.study import Item, Sample, StudySettings
from captum_focalogic.study.explainer import Explainer, Prepared
from captum_focalogic.study.items import Model

BATCH = 32
"""Images altered at once."""

Alter = Callable[[Model, Tensor, Sequence[int]], Mapping[str, Tensor]]
"""``(model, images (N, C, H, W), places) -> tensors`` with N rows each, "images" among them.

A place is an image's number among all, for its random choices."""


@dataclass(frozen=True, eq=False)
class Seen:
    """An image as a model sees it.

    Attributes
    ----------
    id : str
        Of its item.
    label : int or None
        Its class.
    image : (C, H, W) Tensor
        In [0, 1].
    regions : (H, W) int64 Tensor
        Its label map.
    truth : (H, W) or (K, H, W) bool Tensor, or None
        Where the object is.
    """

    id: str
    label: int | None
    image: Tensor
    regions: Tensor
    truth: Tensor | None

    def item(self) -> Item:
        """The image to explain."""
        return Item(self.id, partial(_sample, self), self.label)


def _sample(seen: Seen) -> Sample:
    truth = None if seen.truth is None else seen.truth.numpy()
    return Sample(seen.image, seen.regions.numpy(), truth, seen.label)


def seen_items(workshop: Workshop, name: str, plan: StudySettings, items: Sequence[Item]) -> list[Seen]:
    """Images as a plan's model sees them, cut and with their truth; those that cannot be read are left out.

    Parameters
    ----------
    workshop : Workshop
        Keeps them, because cutting may take long.
    name : str
        Under which.
    plan : StudySettings
    items : sequence of Item
    """

    def make() -> dict[str, Tensor]:
        explainer = Explainer(plan)
        made: dict[str, Tensor] = {}
        for index, item in enumerate(items):
            prepared = explainer.prepare(index, item)
            if isinstance(prepared, Prepared):
                made |= {f"{part}-{index}": tensor for part, tensor in _parts(prepared).items()}
        return made

    kept = workshop.tensors(name, _identity(plan, items), make)
    return [
        Seen(
            item.id,
            int(kept[f"label-{index}"]) if f"label-{index}" in kept else None,
            kept[f"image-{index}"],
            kept[f"regions-{index}"],
            kept.get(f"truth-{index}"),
        )
        for index, item in enumerate(items)
        if f"image-{index}" in kept
    ]


def _parts(prepared: Prepared) -> dict[str, Tensor]:
    parts = {"image": prepared.image, "regions": torch.from_numpy(prepared.label_map)}
    if prepared.truth is not None:
        masks = prepared.truth.masks
        parts["truth"] = torch.from_numpy(masks[0] if len(masks) == 1 else masks)
    if prepared.label is not None:
        parts["label"] = torch.tensor(prepared.label)
    return parts


def altered(
    workshop: Workshop, name: str, how: str, plan: StudySettings, seen: Sequence[Seen], alter: Alter
) -> tuple[list[Seen], list[dict[str, Tensor]]]:
    """Images in an altered form, and what else the alteration tells of each.

    Parameters
    ----------
    workshop : Workshop
        Keeps the altered images.
    name : str
        Under which.
    how : str
        All that the alteration depends on beside the plan.
    plan : StudySettings
        Whose model it is.
    seen : sequence of Seen
        The images as they are.
    alter : callable
        See :data:`Alter`.

    Returns
    -------
    images : list of Seen
        Altered; ids, classes, regions and truth are the originals'.
    told : list of dict
        The other tensors of each image.
    """

    def make() -> dict[str, Tensor]:
        model = plan.model.make().on(plan.device)
        made: dict[str, Tensor] = {}
        for places in _batches(seen):
            images = torch.stack([seen[place].image for place in places]).to(plan.device)
            for part, rows in alter(model, images, places).items():
                made |= {f"{part}-{place}": row for place, row in zip(places, rows, strict=True)}
        return made

    kept = workshop.tensors(name, f"{how}; {_identity(plan, [each.item() for each in seen])}", make)
    told: list[dict[str, Tensor]] = [{} for _ in seen]
    for key, tensor in kept.items():
        part, _, place = key.rpartition("-")
        told[int(place)][part] = tensor
    return [replace(each, image=parts.pop("images")) for each, parts in zip(seen, told, strict=True)], told


def _batches(seen: Sequence[Seen]) -> Iterator[list[int]]:
    """Places of images of one size, few enough for one batch."""
    sizes: dict[torch.Size, list[int]] = {}
    for place, each in enumerate(seen):
        sizes.setdefault(each.image.shape, []).append(place)
    for places in sizes.values():
        yield from (places[start : start + BATCH] for start in range(0, len(places), BATCH))


def as_seen(plan: StudySettings) -> StudySettings:
    """A plan for images that bring their regions and their truth."""
    return replace(plan, segmenter=None, truth=True)


def _identity(plan: StudySettings, items: Sequence[Item]) -> str:
    return json.dumps(plan.record(items), sort_keys=True)
