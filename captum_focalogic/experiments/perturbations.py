"""Images that are perturbed before they are explained: with the most noise that keeps the class, or by an attack.

The regions and the truth are those of the image as it was, so that a difference is the model's and not the segmenter's.
Everything is kept in the workspace, so that a run that is continued explains the same images.
"""

import json
import math
import random
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from captum.robust import PGD
from torch import Tensor, nn
from torch.nn import functional

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import InputError
from captum_focalogic.experiments.framework import Condition, MissingResult, Result, Setup, Workspace, attempted
from captum_focalogic.oracle.forward import as_rows
from captum_focalogic.study import Item, Sample, StudySettings
from captum_focalogic.study.explainer import Explainer, Prepared

IMAGENET: tuple[tuple[str, int, int], ...] = (
    ("animal", 0, 397),
    ("artefact", 398, 922),
    ("food", 923, 969),
    ("landscape", 970, 980),
    ("person", 981, 983),
    ("plant or fungus", 984, 998),
    ("artefact", 999, 999),
)
"""What ImageNet's 1,000 classes are, by first and last index: they are numbered so that kinds stand together.

Tench (0) to puffer (397), abacus to menu, plate to eggnog, alp to volcano, ballplayer to scuba diver, rapeseed to ear,
and toilet tissue. Fruit and vegetables are food (936 to 957), ears of corn and acorns are plants (987 to 990).
"""

HIGHEST = 1.0
"""Standard deviation up to which noise is tried, pixels being in [0, 1]: beyond it, nearly every pixel is clipped."""

TOLERANCE = 2.0**-9
"""Distance to the boundary at which bisection stops: half a step of an 8-bit pixel."""

BATCH = 32
"""Images perturbed at once."""

_UNREADABLE = "none of the images could be read"


def imagenet_categories() -> tuple[str, ...]:
    """The super-category of each of ImageNet's 1,000 classes."""
    return tuple(name for name, first, last in IMAGENET for _ in range(first, last + 1))


def target_elsewhere(source: int, categories: Sequence[str | None], seed: str) -> int:
    """A class of another super-category than a given one, each as likely as the others.

    Parameters
    ----------
    source : int
        The class to get away from.
    categories : sequence of str or None
        Of each class; None for a class that is never a target. There must be one elsewhere.
    seed : str
        Of the choice.
    """
    elsewhere = [
        label for label, category in enumerate(categories) if category is not None and category != categories[source]
    ]
    return random.Random(seed).choice(elsewhere)


def noise_of(shape: tuple[int, ...], seed: str) -> Tensor:
    """Standard normal noise, the same for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(seed.encode())))


def with_noise(images: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """Images with noise of a standard deviation each, clipped to [0, 1].

    Parameters
    ----------
    images, noise : (N, C, H, W) Tensor
    sigmas : (N,) Tensor
    """
    return (images + sigmas[:, None, None, None] * noise).clamp(0.0, 1.0)


def largest_noise(
    forward: Callable[[Tensor], Any],
    images: Tensor,
    noise: Tensor,
    highest: float = HIGHEST,
    tolerance: float = TOLERANCE,
) -> Tensor:
    """The standard deviation up to which each image keeps its class under a given noise.

    An image that keeps it at ``highest`` gets ``highest``. For any other, bisection between 0 and ``highest`` ends at a
    place where the class is kept and lost within ``tolerance`` above; where the class comes back under still more
    noise, that is not looked for.

    Parameters
    ----------
    forward : callable
        Images (N, C, H, W) in [0, 1] to scores (N, K), or to one answer an image.
    images, noise : (N, C, H, W) Tensor
        The direction of the noise is fixed; only its strength is searched.
    highest, tolerance : float
        Above 0.

    Returns
    -------
    (N,) float32 Tensor
        A strength that was tried and kept the class, or 0.

    Raises
    ------
    InputError
        If ``highest`` or ``tolerance`` is not above 0.
    """
    if not (highest > 0 and tolerance > 0):
        raise InputError(f"highest and tolerance must be above 0; got {highest} and {tolerance}")
    classes = classes_of(forward, images)

    def kept(sigmas: Tensor) -> Tensor:
        return classes_of(forward, with_noise(images, noise, sigmas)) == classes

    high = torch.full((len(images),), highest, device=images.device)
    low = torch.where(kept(high), high, torch.zeros_like(high))
    while bool((high - low > tolerance).any()):
        middle = (low + high) / 2
        holds = kept(middle)
        low, high = torch.where(holds, middle, low), torch.where(holds, high, middle)
    return low


def classes_of(forward: Callable[[Tensor], Any], images: Tensor) -> Tensor:
    """The class that a model gives each image, (N,); one number an image is a class, or decides by its sign."""
    with torch.no_grad():
        rows = as_rows(forward(images), len(images)).reshape(len(images), -1)
    if rows.shape[1] > 1:
        return rows.argmax(dim=1)
    return (rows[:, 0] > 0).long() if rows.is_floating_point() else rows[:, 0]


@dataclass(frozen=True)
class Attack:
    """How strong an attack is; the defaults are those usual on ImageNet.

    Attributes
    ----------
    radius : float
        Most that a pixel in [0, 1] may change (L-infinity).
    step : float
        Change of a pixel in one step.
    steps : int
        Number of steps.

    Raises
    ------
    InputError
        If one of them is not above 0.
    """

    radius: float = 8 / 255
    step: float = 2 / 255
    steps: int = 20

    def __post_init__(self) -> None:
        if not (self.radius > 0 and self.step > 0 and self.steps > 0):
            raise InputError(f"radius, step and steps must be above 0; got {self}")


def attacked(model: nn.Module, images: Tensor, targets: Tensor, attack: Attack | None = None) -> Tensor:
    """Images changed so that a model takes each for its target class, as far as the attack gets.

    Starts at the images themselves, so that it is deterministic, and returns the last step whether it succeeded or not.

    Parameters
    ----------
    model : nn.Module
        Images (N, C, H, W) in [0, 1] to logits (N, K); in evaluation mode.
    images : (N, C, H, W) Tensor
    targets : (N,) int64 Tensor
    attack : Attack, optional
        How strong it is.

    Returns
    -------
    (N, C, H, W) Tensor
        In [0, 1], no pixel further than the radius from its image.
    """
    how = attack or Attack()
    descent = PGD(model, _losses, lower_bound=0.0, upper_bound=1.0)
    # Captum stands still where a gradient is below 1e-6, which it is wherever a network is sure.
    descent.fgsm.zero_thresh = 0.0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Input Tensor 0 did not already require gradients")
        changed: Tensor = descent.perturb(images, how.radius, how.step, how.steps, targets, targeted=True)
    return changed.detach()


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits, targets, reduction="none")


Perturbation = Callable[[Classifier, Tensor, Sequence[int]], Mapping[str, Tensor]]
"""``(model, images (N, C, H, W), places) -> tensors`` with N rows each, "images" among them.

A place is an image's number among all, for its random choices."""


@dataclass(frozen=True, eq=False)
class PartitionedImage:
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


def _sample(partitioned: PartitionedImage) -> Sample:
    truth = None if partitioned.truth is None else partitioned.truth.numpy()
    return Sample(partitioned.image, partitioned.regions.numpy(), truth, partitioned.label)


def partitioned_images(
    workspace: Workspace, name: str, plan: StudySettings, items: Sequence[Item]
) -> list[PartitionedImage]:
    """Images as a plan's model sees them, cut and with their truth; those that cannot be read are left out.

    Parameters
    ----------
    workspace : Workspace
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

    kept = workspace.tensors(name, _dependencies(plan, items), make)
    return [
        PartitionedImage(
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


def perturbed_images(
    workspace: Workspace,
    name: str,
    how: str,
    plan: StudySettings,
    partitioned: Sequence[PartitionedImage],
    perturb: Perturbation,
) -> tuple[list[PartitionedImage], list[dict[str, Tensor]]]:
    """Images as a perturbation leaves them, and what else it tells of each.

    Parameters
    ----------
    workspace : Workspace
        Keeps the perturbed images.
    name : str
        Under which.
    how : str
        All that the perturbation depends on beside the plan.
    plan : StudySettings
        Whose model it is.
    partitioned : sequence of PartitionedImage
        The images as they are.
    perturb : callable
        See :data:`Perturbation`.

    Returns
    -------
    images : list of PartitionedImage
        Perturbed; ids, classes, regions and truth are the originals'.
    told : list of dict
        The other tensors of each image.
    """

    def make() -> dict[str, Tensor]:
        model = plan.model.make().to(plan.device)
        made: dict[str, Tensor] = {}
        for places in _batches(partitioned):
            images = torch.stack([partitioned[place].image for place in places]).to(plan.device)
            for part, rows in perturb(model, images, places).items():
                made |= {f"{part}-{place}": row for place, row in zip(places, rows, strict=True)}
        return made

    kept = workspace.tensors(name, f"{how}; {_dependencies(plan, [each.item() for each in partitioned])}", make)
    told: list[dict[str, Tensor]] = [{} for _ in partitioned]
    for key, tensor in kept.items():
        part, _, place = key.rpartition("-")
        told[int(place)][part] = tensor
    return [replace(each, image=parts.pop("images")) for each, parts in zip(partitioned, told, strict=True)], told


def _batches(partitioned: Sequence[PartitionedImage]) -> Iterator[list[int]]:
    """Places of images of one size, few enough for one batch."""
    sizes: dict[torch.Size, list[int]] = {}
    for place, each in enumerate(partitioned):
        sizes.setdefault(each.image.shape, []).append(place)
    for places in sizes.values():
        yield from (places[start : start + BATCH] for start in range(0, len(places), BATCH))


def with_own_regions(plan: StudySettings) -> StudySettings:
    """A plan for images that bring their regions and their truth."""
    return replace(plan, segmenter=None, truth=True)


def _dependencies(plan: StudySettings, items: Sequence[Item]) -> str:
    return json.dumps(plan.record(items), sort_keys=True)


@dataclass(frozen=True, eq=False)
class PerturbationSettings:
    """Whose images are perturbed, and how.

    Attributes
    ----------
    plan : callable
        Makes the plan for the unperturbed images.
    items : callable
        Makes the unperturbed images, for a model.
    categories : callable
        The super-category of each of a model's classes, None for a class that is never aimed at; None altogether if
        they are not known.
    attack : Attack
        How strong the attack is.
    seed : int
        Of noise and targets.
    """

    plan: Callable[[Workspace], StudySettings]
    items: Callable[[Classifier], list[Item]]
    categories: Callable[[Classifier], Sequence[str | None] | None]
    attack: Attack
    seed: int


def perturbed_condition(settings: PerturbationSettings) -> Condition[Result | MissingResult]:
    """The images with the strongest Gaussian noise that leaves their class, regions and truth as they were."""

    def alter(model: Classifier, images: Tensor, places: Sequence[int]) -> Mapping[str, Tensor]:
        shape = tuple(images.shape[1:])
        noise = torch.stack([noise_of(shape, f"{settings.seed} {place}") for place in places]).to(images.device)
        sigmas = largest_noise(model.forward, images, noise)
        return {"images": with_noise(images, noise, sigmas), "sigma": sigmas}

    def make(workspace: Workspace) -> Setup | MissingResult:
        plan = settings.plan(workspace)
        seen = partitioned_images(workspace, "seen", plan, settings.items(plan.model.make()))
        if not seen:
            return MissingResult("perturbed", _UNREADABLE)
        how = f"noise up to {HIGHEST} within {TOLERANCE}, seed {settings.seed}"
        shown, told = perturbed_images(workspace, "perturbed", how, plan, seen, alter)
        sigmas = [float(each["sigma"]) for each in told]
        facts = {"sigma": math.fsum(sigmas) / len(sigmas), "capped": sigmas.count(HIGHEST) / len(sigmas)}
        return Setup(with_own_regions(plan), [each.item() for each in shown], facts)

    what = f"the images of vanilla with the largest Gaussian noise that keeps the class (sigma up to {HIGHEST:g})"
    return attempted("perturbed", what, make)


def attacked_condition(settings: PerturbationSettings) -> Condition[Result | MissingResult]:
    """The images on which a targeted attack reached its target; regions and truth as they were."""
    attack = settings.attack

    def make(workspace: Workspace) -> Setup | MissingResult:
        plan = settings.plan(workspace)
        model = plan.model.make()
        categories = settings.categories(model)
        if not isinstance(model.forward, nn.Module):
            return MissingResult(
                "attacked", f"{model.name} is no torch module, so that it has no gradients to attack it by"
            )
        if categories is None:
            return MissingResult(
                "attacked", f"{model.name} does not name ImageNet's 1,000 classes: no super-categories are known"
            )
        seen = partitioned_images(workspace, "seen", plan, settings.items(model))
        if not seen:
            return MissingResult("attacked", _UNREADABLE)

        def alter(model: Classifier, images: Tensor, places: Sequence[int]) -> Mapping[str, Tensor]:
            return _attacked(model, images, [f"{settings.seed} {place}" for place in places], categories, attack)

        shown, told = perturbed_images(workspace, "attacked", f"{attack}, seed {settings.seed}", plan, seen, alter)
        items = [each.item() for each, parts in zip(shown, told, strict=True) if bool(parts["reached"])]
        if not items:
            return MissingResult("attacked", f"the attack reached its target on none of {len(shown)} images")
        return Setup(with_own_regions(plan), items, {"success": len(items) / len(shown)})

    what = (
        f"the images of vanilla after targeted PGD ({attack.steps} steps, radius {attack.radius * 255:g}/255), the "
        "target in another super-category; those on which it succeeds are explained"
    )
    return attempted("attacked", what, make)


def _attacked(
    model: Classifier, images: Tensor, seeds: Sequence[str], categories: Sequence[str | None], attack: Attack
) -> Mapping[str, Tensor]:
    network = model.forward
    sources = classes_of(network, images).tolist()
    targets = torch.tensor(
        [target_elsewhere(source, categories, seed) for source, seed in zip(sources, seeds, strict=True)],
        device=images.device,
    )
    changed = attacked(network, images, targets, attack)  # type: ignore[arg-type]
    return {"images": changed, "target": targets, "reached": classes_of(network, changed) == targets}
