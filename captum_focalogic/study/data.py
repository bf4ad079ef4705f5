"""Data sets by name: embedded scenes, folders of images, lists, and folders of Hugging Face datasets."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.ground_truth import read_mask
from captum_focalogic.images import open_image
from captum_focalogic.segmenters import read_label_map
from captum_focalogic.study.classes import (
    AS_GIVEN,
    ClassNumbers,
    check_range,
    check_splits,
    class_numbers,
    is_hidden,
)
from captum_focalogic.study.items import Item, Sample
from captum_focalogic.study.rows import arrow

DATA_CHOICES = (
    "scenes:NUMBER, a folder of images (a subfolder for each class), a list (.csv or .parquet), or a folder that "
    "Hugging Face datasets saved"
)


def data_from_text(text: str, class_names: Sequence[str] | None = None, limit: int | None = None) -> list[Item]:
    """The images that a name on the command line stands for.

    Parameters
    ----------
    text : str
        ``scenes:N``; a folder of images; a ``.csv`` or ``.parquet`` list; or a folder that
        ``datasets.Dataset.save_to_disk`` wrote.
    class_names : sequence of str, optional
        The model's class names, by which classes are told that the data gives by name.
    limit : int, optional
        Take only so many, spread evenly over the data.

    Raises
    ------
    InputError
        If there is no such data, or it holds no image.
    MissingExtraError
        If reading it needs a package that is not installed.
    """
    items = _find(text, class_names)
    if not items:
        raise InputError(f"there is no image in {text}; expected {DATA_CHOICES}")
    if limit is None or limit >= len(items):
        return items
    return [items[position * len(items) // limit] for position in range(limit)]


def _find(text: str, class_names: Sequence[str] | None) -> list[Item]:
    kind, colon, number = text.partition(":")
    if kind == "scenes" and colon:
        if not number.isdecimal() or int(number) < 1:
            raise InputError(f"scenes:NUMBER needs a number of scenes, at least 1; got {text!r}")
        return scenes(int(number))
    path = Path(text)
    if path.suffix.lower() in (".csv", ".parquet") and path.is_file():
        return listed(path, class_names)
    if (path / "dataset_dict.json").is_file():
        splits = ", ".join(sorted(folder.name for folder in path.iterdir() if folder.is_dir()))
        raise InputError(f"{path} holds several splits; name one of them: {path}/SPLIT, SPLIT being {splits}")
    if (path / "dataset_info.json").is_file() and (path / "state.json").is_file():
        return hugging_face(path, class_names)
    if path.is_dir():
        return image_folder(path, class_names)
    raise InputError(f"there is no data {text!r}; expected {DATA_CHOICES}")


def scenes(count: int, first_seed: int = 0) -> list[Item]:
    """Embedded scenes, which bring their regions, their class and the place of the objects that it is about.

    The rule of class 0, "other", is about no object, so that such scenes have no truth.
    """
    return [Item(f"scene-{seed}", partial(_scene, seed)) for seed in range(first_seed, first_seed + count)]


def _scene(seed: int) -> Sample:
    from captum_focalogic.demo.scenes import draw_scene

    scene = draw_scene(seed)
    truth = scene.truth() if scene.label else None
    return Sample(torch.from_numpy(scene.image), scene.labels, truth, scene.label)


def image_folder(folder: str | Path, class_names: Sequence[str] | None = None) -> list[Item]:
    """Images in a folder: one subfolder for each class, or all in one for images of unknown class.

    Ids are paths inside the folder. A subfolder's class is found by
    :func:`~captum_focalogic.study.classes.class_numbers`; where only alphabetical order is left, all subfolders count,
    as for torchvision's ``ImageFolder``. Hidden folders and the system's are nobody's class, and links are followed.

    Raises
    ------
    InputError
        If there are images both in subfolders and outside of them, the subfolders are parts of a data set (train, val),
        or some are no classes of the model.
    """
    root = Path(folder).resolve()
    paths = _image_paths(root)
    names = [path.relative_to(root).parts for path in paths]
    classes = sorted({parts[0] for parts in names if len(parts) > 1})
    if classes and any(len(parts) == 1 for parts in names):
        raise InputError(f"{root} holds images both in subfolders, one for each class, and outside of them")
    check_splits(classes, root, class_names)
    if classes and not class_names:
        classes = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not is_hidden(entry.name))
    found = class_numbers(classes, class_names)
    return [
        Item(
            "/".join(parts),
            partial(read_image, path),
            *((found.numbers[parts[0]], found.rule) if len(parts) > 1 else ()),
        )
        for path, parts in zip(paths, names, strict=True)
    ]


def _image_paths(root: Path) -> list[Path]:
    """Images under a folder, in order; what is hidden is left out, and links to folders are followed."""
    found = []
    for folder, inner, files in os.walk(root, followlinks=True):
        here = Path(folder)
        real = here.resolve()
        # a link to a folder around it would be walked for ever
        inner[:] = [name for name in inner if not is_hidden(name) and not real.is_relative_to((here / name).resolve())]
        kept = (here / name for name in files if not is_hidden(name))
        found += [path for path in kept if path.suffix.lower() in IMG_EXTENSIONS and path.is_file()]
    return sorted(found)


def read_image(path: Path, mask: Path | None = None, regions: Path | None = None) -> Sample:
    """Read an image, upright and in RGB, with its mask and its label map where there are files of them."""
    return Sample(
        open_image(path),
        None if regions is None else read_label_map(regions),
        None if mask is None else read_mask(mask),
    )


def listed(path: str | Path, class_names: Sequence[str] | None = None) -> list[Item]:
    """Images of a list: a CSV or Parquet file with a column ``image`` (or ``path``) of files.

    Files are relative to the list. Further columns, all optional: ``id`` (by default the image's path), ``label`` (a
    number, or a name as in :func:`image_folder`), ``mask`` and ``regions`` (files).

    Raises
    ------
    InputError
        If the file cannot be read, or has no such column.
    """
    path = Path(path).resolve()
    columns = _columns(path)
    images = columns.get("image", columns.get("path"))
    if images is None:
        raise InputError(f"{path} needs a column image (or path) that names files; it has {', '.join(columns)}")
    labels, rule = _numbered(columns.get("label", [None] * len(images)), class_names)

    def file(name: str, row: int) -> Path | None:
        value = columns.get(name, [None] * len(images))[row]
        return path.parent / str(value) if value else None

    ids = columns.get("id", images)
    return [
        Item(
            str(ids[row]),
            partial(read_image, path.parent / str(image), file("mask", row), file("regions", row)),
            label,
            "" if label is None else rule,
        )
        for row, (image, label) in enumerate(zip(images, labels, strict=True))
    ]


def _columns(path: Path) -> dict[str, list[Any]]:
    pa = arrow()
    import pyarrow.csv
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path) if path.suffix == ".parquet" else pyarrow.csv.read_csv(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"the list {path} cannot be read: {error}") from error
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _numbered(labels: Sequence[Any], class_names: Sequence[str] | None) -> tuple[list[int | None], str]:
    """Class numbers and their rule; nothing and numbers below 0 mean that the class is not known."""
    said = sorted({label for label in labels if isinstance(label, str) and label})
    found = class_numbers(said, class_names) if said else ClassNumbers({}, AS_GIVEN)
    numbers = [found.numbers.get(label) if isinstance(label, str) else label for label in labels]
    known = [None if number is None or number < 0 else int(number) for number in numbers]
    check_range((number for number in known if number is not None), class_names)
    return known, found.rule


def hugging_face(folder: str | Path, class_names: Sequence[str] | None = None) -> list[Item]:
    """Rows of a dataset that Hugging Face ``datasets`` saved to a folder, with a column of images.

    The image is the first column of type Image; the class is a column ``label`` (its class names are matched with the
    model's, where those are known); masks are a column ``mask``, label maps a column ``regions``; ids are a column
    ``id``, else the row's number.

    Raises
    ------
    MissingExtraError
        Without datasets.
    InputError
        If there is no column of images.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("datasets", "datasets") from error
    try:
        dataset = datasets.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} cannot be read with Hugging Face datasets: {error}") from error
    features = dataset.features
    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    images = [name for name in images if name not in ("mask", "regions")]
    if not images:
        raise InputError(f"{folder} has no column of images; its columns are {', '.join(features)}")
    table = _Dataset(Path(folder).resolve(), images[0], "mask" in features, "regions" in features)
    said: list[Any] = list(dataset["label"]) if "label" in features else [None] * len(dataset)
    names = getattr(features.get("label"), "names", None)
    if names is not None and class_names:
        said = [None if label is None or label < 0 else names[label] for label in said]
    labels, rule = _numbered(said, class_names)
    ids = dataset["id"] if "id" in features else range(len(dataset))
    return [
        Item(str(item_id), partial(table.read, row), label, "" if label is None else rule)
        for row, (item_id, label) in enumerate(zip(ids, labels, strict=True))
    ]


@dataclass(eq=False)
class _Dataset:
    """A dataset on the disk, opened where it is read: workers get the path, not the images."""

    folder: Path
    image: str
    masks: bool
    regions: bool
    _opened: Any = None

    def read(self, row: int) -> Sample:
        import datasets

        if self._opened is None:
            self._opened = datasets.load_from_disk(str(self.folder))
        fields = self._opened[row]
        return Sample(
            open_image(fields[self.image]),
            np.asarray(fields["regions"], dtype=np.int64) if self.regions else None,
            read_mask(_as_mask(fields["mask"])) if self.masks and fields["mask"] is not None else None,
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}


def _as_mask(field: Any) -> Any:
    """A mask's column holds images, whose palette may tell, or nested lists."""
    return field if isinstance(field, Image.Image) else np.asarray(field)
