"""This package's own segmenters by their command line names, beside those of :mod:`captum_focalogic.segmenters`."""

from collections.abc import Callable

from captum_focalogic.errors import InputError
from captum_focalogic.segmenters import Segmenter


def _sam(text: str) -> Segmenter:
    from captum_focalogic.integrations.segment_anything import SamSegmenter

    return SamSegmenter(text or "vit_b")


def _masks(text: str) -> Segmenter:
    from captum_focalogic.integrations.transformers_masks import TransformersSegmenter

    return TransformersSegmenter(text or "facebook/sam-vit-base")


def _felzenszwalb(text: str) -> Segmenter:
    from captum_focalogic.integrations.scikit_image import Felzenszwalb

    return Felzenszwalb(_count(text, "felzenszwalb"))


def _quickshift(text: str) -> Segmenter:
    from captum_focalogic.integrations.scikit_image import Quickshift

    return Quickshift(_count(text, "quickshift"))


def _watershed(text: str) -> Segmenter:
    from captum_focalogic.integrations.scikit_image import Watershed

    return Watershed(_count(text, "watershed"))


def _shapes(text: str) -> Segmenter:
    from captum_focalogic.integrations.shapes import Shapes

    if not text:
        raise InputError("shapes needs a JSON file with run lengths or polygons: shapes:FILE.json")
    return Shapes(text)


BUILT_IN: dict[str, Callable[[str], Segmenter]] = {
    "felzenszwalb": _felzenszwalb,
    "masks": _masks,
    "quickshift": _quickshift,
    "sam": _sam,
    "shapes": _shapes,
    "watershed": _watershed,
}


def _count(text: str, name: str) -> int:
    if not text:
        return 12
    if not text.isdecimal():
        raise InputError(f"{name}:{text} should read {name}:NUMBER, the most regions, such as {name}:20")
    return int(text)
