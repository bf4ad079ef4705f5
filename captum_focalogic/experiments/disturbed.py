"""Arms whose images are disturbed before they are explained: with noise, or by an attack."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from captum_focalogic.experiments.altered import altered, as_seen, seen_items
from captum_focalogic.experiments.arms import Absent, Arm, Result, Trial, attempted
from captum_focalogic.experiments.attack import Attack, attacked
from captum_focalogic.experiments.categories import target_elsewhere
from captum_focalogic.experiments.noise import HIGHEST, TOLERANCE, classes_of, largest_noise, noise_of, with_noise
from captum_focalogic.experiments.workshop import Workshop
from captum_focalogic.study import Item, Model, StudySettings

_UNREADABLE = "none of the pictures could be read"


@dataclass(frozen=True, eq=False)
class Subject:
    """Whose images are disturbed.

    Attributes
    ----------
    plan : callable
        Makes the plan for the undisturbed images.
    items : callable
        Makes the undisturbed images, for a model.
    categories : callable
        The super-category of each of a model's classes, None for a class that is never aimed at; None altogether if
        they are not known.
    attack : Attack
        How strong the attack is.
    seed : int
        Of noise and targets.
    """

    plan: Callable[[Workshop], StudySettings]
    items: Callable[[Model], list[Item]]
    categories: Callable[[Model], Sequence[str | None] | None]
    attack: Attack
    seed: int


def perturbed_arm(subject: Subject) -> Arm[Result | Absent]:
    """The images with the strongest Gaussian noise that leaves their class, regions and truth as they were."""

    def alter(model: Model, images: Tensor, places: Sequence[int]) -> Mapping[str, Tensor]:
        shape = tuple(images.shape[1:])
        noise = torch.stack([noise_of(shape, f"{subject.seed} {place}") for place in places]).to(images.device)
        sigmas = largest_noise(model.forward, images, noise)
        return {"images": with_noise(images, noise, sigmas), "sigma": sigmas}

    def make(workshop: Workshop) -> Trial | Absent:
        plan = subject.plan(workshop)
        seen = seen_items(workshop, "seen", plan, subject.items(plan.model.make()))
        if not seen:
            return Absent("perturbed", _UNREADABLE)
        how = f"noise up to {HIGHEST} within {TOLERANCE}, seed {subject.seed}"
        shown, told = altered(workshop, "perturbed", how, plan, seen, alter)
        sigmas = [float(each["sigma"]) for each in told]
        facts = {"sigma": math.fsum(sigmas) / len(sigmas), "capped": sigmas.count(HIGHEST) / len(sigmas)}
        return Trial(as_seen(plan), [each.item() for each in shown], facts)

    what = f"the images of vanilla with the largest Gaussian noise that keeps the class (sigma up to {HIGHEST:g})"
    return attempted("perturbed", what, make)


def attacked_arm(subject: Subject) -> Arm[Result | Absent]:
    """The images on which a targeted attack reached its target; regions and truth as they were."""
    attack = subject.attack

    def make(workshop: Workshop) -> Trial | Absent:
        plan = subject.plan(workshop)
        model = plan.model.make()
        categories = subject.categories(model)
        if not isinstance(model.forward, nn.Module):
            return Absent("attacked", f"{model.name} is no torch module, so that it has no gradients to attack it by")
        if categories is None:
            return Absent(
                "attacked", f"{model.name} does not name ImageNet's 1,000 classes: no super-categories are known"
            )
        seen = seen_items(workshop, "seen", plan, subject.items(model))
        if not seen:
            return Absent("attacked", _UNREADABLE)

        def alter(model: Model, images: Tensor, places: Sequence[int]) -> Mapping[str, Tensor]:
            return _attacked(model, images, [f"{subject.seed} {place}" for place in places], categories, attack)

        shown, told = altered(workshop, "attacked", f"{attack}, seed {subject.seed}", plan, seen, alter)
        items = [each.item() for each, parts in zip(shown, told, strict=True) if bool(parts["reached"])]
        if not items:
            return Absent("attacked", f"the attack reached its target on none of {len(shown)} images")
        return Trial(as_seen(plan), items, {"success": len(items) / len(shown)})

    what = (
        f"the images of vanilla after targeted PGD ({attack.steps} steps, radius {attack.radius * 255:g}/255), the "
        "target in another super-category; those on which it succeeds are explained"
    )
    return attempted("attacked", what, make)


def _attacked(
    model: Model, images: Tensor, seeds: Sequence[str], categories: Sequence[str | None], attack: Attack
) -> Mapping[str, Tensor]:
    network = model.forward
    sources = classes_of(network, images).tolist()
    targets = torch.tensor(
        [target_elsewhere(source, categories, seed) for source, seed in zip(sources, seeds, strict=True)],
        device=images.device,
    )
    changed = attacked(network, images, targets, attack)  # type: ignore[arg-type]
    return {"images": changed, "target": targets, "reached": classes_of(network, changed) == targets}
