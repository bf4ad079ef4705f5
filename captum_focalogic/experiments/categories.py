"""Super-categories of classes, so that an attack can aim at something altogether different."""

import random
from collections.abc import Sequence

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
