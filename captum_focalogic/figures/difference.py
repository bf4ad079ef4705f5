"""How two explanations differ: one region set on which they disagree, as an image, put to both models."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from captum_focalogic.errors import InputError
from captum_focalogic.figures.canvas import backdrop, with_caption
from captum_focalogic.figures.overlays import PAPER, Palette, regions_image, tile
from captum_focalogic.focus import Focus
from captum_focalogic.logic import difference, symbol

if TYPE_CHECKING:
    from captum_focalogic.confirmation import DifferenceCheck
    from captum_focalogic.masked_model import MaskedModel

_MOST_NAMED = 8


@dataclass(frozen=True, eq=False)
class DifferenceFigure:
    """A region set on which two formulas disagree.

    Attributes
    ----------
    image : PIL.Image.Image
        Its regions, the rest dimmed, above the caption; the partition where the formulas are equivalent.
    caption : str
        Which formula holds for it, and what the models say, where they were asked.
    regions : frozenset of int or None
        The set; None where the formulas are equivalent, which is then proved.
    check : DifferenceCheck or None
        What the models say; None where they were not asked.
    """

    image: Image.Image
    caption: str
    regions: frozenset[int] | None
    check: "DifferenceCheck | None" = None

    def __str__(self) -> str:
        return self.caption


def show_difference(
    focus_a: Focus,
    focus_b: Focus,
    image: ArrayLike | None = None,
    model_a: "MaskedModel | None" = None,
    model_b: "MaskedModel | None" = None,
    *,
    regions: Iterable[int] | None = None,
    titles: tuple[str, str] = ("A", "B"),
    palette: Palette = PAPER,
    side: int = 640,
) -> DifferenceFigure:
    """How two models, or one model before and after training, differ on an image.

    Finds a set of regions that is enough for one formula and not for the other, shows it, and asks both models, where
    they are given, whether they keep their predictions with just these regions. They need not do as their formulas say:
    real models are not monotone, and a search may have missed final states.

    Parameters
    ----------
    focus_a, focus_b : Focus
        Explanations of the same image over the same regions: explain with one ``feature_mask``.
    image : (3, H, W) float in [0, 1], or (H, W, 3) uint8, optional
        The image; the first focus's own by default, and a map of the regions where it has none.
    model_a, model_b : MaskedModel, optional
        The models, about their explanations' targets and regions, both or none.
    regions : iterable of int, optional
        Region ids to keep, in place of the set that is found.
    titles : (str, str)
        What the two are called.
    palette : Palette
        Its second colour frames the regions.
    side : int
        Enlarge until the longer side has at least this many pixels.

    Returns
    -------
    DifferenceFigure
        The image, what it says in words, the region set, and the check.

    Raises
    ------
    InputError
        If the focuses are about different regions, have no label map, the image does not fit them, or only one model
        is given.

    Examples
    --------
    >>> shown = show_difference(before, after, image, MaskedModel(old, x), MaskedModel(new, x))  # doctest: +SKIP
    >>> shown.image.save("difference.png")  # doctest: +SKIP
    >>> shown.check.confirmed  # doctest: +SKIP
    True
    """
    label_map = same_regions(focus_a, focus_b)
    if (model_a is None) != (model_b is None):
        raise InputError("only one of model_a and model_b is given; asking needs both models")
    kept = _kept(focus_a, focus_b, regions)
    pixels = np.asarray(backdrop(focus_a.image if image is None else image, label_map).convert("RGB"))
    if kept is None:
        caption = f"{titles[0]} and {titles[1]} are equivalent: both hold for exactly the same sets of regions."
        whole = regions_image(pixels, label_map, names=focus_a.names, side=side)
        return DifferenceFigure(with_caption(whole, caption), caption, None)
    check = None
    if model_a is not None and model_b is not None:
        from captum_focalogic.confirmation import confirm_difference

        check = confirm_difference(focus_a, focus_b, kept, model_a, model_b)
    state = np.isin(focus_a.region_ids, list(kept))
    caption = _caption(focus_a, focus_b, state, check, titles)
    # Beside the empty set nothing is common to all states, so that nothing is framed as if it were.
    states = np.stack([state, np.zeros_like(state)])
    drawn = tile(
        pixels, label_map, focus_a.region_ids, states, 0, palette=palette, caption=caption, show_ids=True, side=side
    )
    return DifferenceFigure(drawn, caption, kept, check)


def same_regions(focus_a: Focus, focus_b: Focus) -> NDArray[np.int64]:
    """The label map of two focuses.

    Raises
    ------
    InputError
        If they have none, or not the same.
    """
    if focus_a.label_map is None or focus_b.label_map is None:
        raise InputError("a focus without a label map cannot be shown; captum_focalogic.logic.difference compares all")
    if not np.array_equal(focus_a.label_map, focus_b.label_map):
        raise InputError("the two focuses are about different regions; explain both with one feature_mask")
    return focus_a.label_map


def _kept(focus_a: Focus, focus_b: Focus, regions: Iterable[int] | None) -> frozenset[int] | None:
    if regions is None:
        apart = difference(focus_a.expression, focus_b.expression)
        return None if apart is None else frozenset(int(region) for region in apart)
    given = frozenset(int(region) for region in regions)
    if not given <= set(focus_a.region_ids.tolist()):
        raise InputError(f"regions {sorted(given)} are not all regions of the focuses, {focus_a.region_ids.tolist()}")
    return given


def _caption(
    focus_a: Focus,
    focus_b: Focus,
    state: NDArray[np.bool_],
    check: "DifferenceCheck | None",
    titles: tuple[str, str],
) -> str:
    """What is kept, which formula holds, and what the models say; in sentences."""
    holds = [bool((focus.final_states <= state).all(axis=1).any()) for focus in (focus_a, focus_b)]
    said = [f"{_kept_text(focus_a, state)}: {_holds_text(holds, titles)}."]
    if focus_a.target != focus_b.target:
        said.append(f"They explain different classes: {titles[0]} {focus_a.target}, {titles[1]} {focus_b.target}.")
    if check is not None:
        said.append(_check_text(check, titles))
    return " ".join(said)


def _kept_text(focus: Focus, state: NDArray[np.bool_]) -> str:
    ids = focus.region_ids[state].tolist()
    called = [f"{symbol(region)} {focus.names.get(region, '')}".rstrip() for region in ids[:_MOST_NAMED]]
    if len(ids) > _MOST_NAMED:
        called.append(f"{len(ids) - _MOST_NAMED} more regions")
    share = f"{focus.areas[state].sum():.1%} of the image"
    return f"With just {' & '.join(called)} ({share})" if ids else "With no region at all"


def _holds_text(holds: list[bool], titles: tuple[str, str]) -> str:
    if holds[0] == holds[1]:
        return "both formulas hold" if holds[0] else "neither formula holds"
    one, other = titles if holds[0] else titles[::-1]
    return f"{one}'s formula holds, {other}'s does not"


def _check_text(check: "DifferenceCheck", titles: tuple[str, str]) -> str:
    keeps = (check.model_a, check.model_b)
    if check.confirmed:
        return "Asked, both models do as their formulas say."
    wrong = [
        f"{title} {'keeps' if kept else 'loses'} its prediction"
        for title, kept, held in zip(titles, keeps, (check.formula_a, check.formula_b), strict=True)
        if kept != held
    ]
    return f"NOT confirmed: asked, {' and '.join(wrong)} all the same."
