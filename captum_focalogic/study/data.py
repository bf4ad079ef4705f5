"""Data sets by name: embedded scenes, folders of pictures, lists, and folders of Hugging Face datasets."""

import re
from collections.abc import Mapping, Sequence
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
from captum_focalogic.study.items import Item, Sample
from captum_focalogic.study.rows import arrow

DATA_CHOICES = (
    "scenes:NUMBER, a folder of pictures (a subfolder for each class), a list (.csv or .parquet), or a folder that "
    "Hugging Face datasets saved"
)


def data_from_text(text: str, class_names: Sequence[str] | None = None, limit: int | None = None) -> list[Item]:
    """The images that a name on the command line stands for.

    Parameters
    ----------
    text : str
        ``scenes:N``; a folder of pictures; a ``.csv`` or ``.parquet`` list; or a folder that
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
        raise InputError(f"there is no picture in {text}; expected {DATA_CHOICES}")
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
    """Pictures in a folder: one subfolder for each class, or all in one for pictures of unknown class.

    Ids are paths inside the folder. A subfolder's class is the model's class of that name where all subfolders are
    named so; its number where all names are whole numbers; its ImageNet number where the names are WordNet ids and the
    model has ImageNet's 1,000 classes; else its place in alphabetical order, torchvision's rule.
    """
    root = Path(folder).resolve()
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in IMG_EXTENSIONS and path.is_file())
    names = [path.relative_to(root).parts for path in paths]
    classes = sorted({parts[0] for parts in names if len(parts) > 1})
    if classes and any(len(parts) == 1 for parts in names):
        raise InputError(f"{root} holds pictures both in subfolders, one for each class, and outside of them")
    labels = class_numbers(classes, class_names)
    return [
        Item("/".join(parts), partial(read_picture, path), labels[parts[0]] if len(parts) > 1 else None)
        for path, parts in zip(paths, names, strict=True)
    ]


def class_numbers(classes: Sequence[str], class_names: Sequence[str] | None) -> Mapping[str, int]:
    """The number of each class that is given by name; see :func:`image_folder` for the rule."""
    known = {name: number for number, name in reversed(list(enumerate(class_names or ())))}
    if classes and all(name in known for name in classes):
        return {name: known[name] for name in classes}
    if all(name.isdecimal() for name in classes):
        return {name: int(name) for name in classes}
    if len(class_names or ()) == _IMAGENET > len(classes) and all(map(_WORDNET_ID.fullmatch, classes)):
        return _imagenet_numbers(classes)
    return {name: number for number, name in enumerate(sorted(classes))}


_IMAGENET = 1_000
_WORDNET_ID = re.compile(r"n\d{8}")


def _imagenet_numbers(classes: Sequence[str]) -> Mapping[str, int]:
    """ImageNet's numbers of some of its classes: those that are missing count, so alphabetical order is not enough."""
    try:
        from timm.data.imagenet_info import ImageNetInfo
    except ImportError as error:
        raise InputError(
            f"the classes are {len(classes)} of ImageNet's {_IMAGENET:,}, by their WordNet ids; to tell which, "
            "pip install 'captum-focalogic[timm]', or name the folders by the classes' numbers"
        ) from error
    info: Any = ImageNetInfo()
    numbers = {name: number for number, name in enumerate(info.label_names())}
    unknown = [name for name in classes if name not in numbers]
    if unknown:
        raise InputError(f"ImageNet's {_IMAGENET:,} classes do not have the WordNet id(s) {', '.join(unknown)}")
    return {name: numbers[name] for name in classes}


def read_picture(path: Path, mask: Path | None = None, regions: Path | None = None) -> Sample:
    """Read a picture, upright and in RGB, with its mask and its label map where there are files of them."""
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
    labels = _numbered(columns.get("label", [None] * len(images)), class_names)

    def file(name: str, row: int) -> Path | None:
        value = columns.get(name, [None] * len(images))[row]
        return path.parent / str(value) if value else None

    ids = columns.get("id", images)
    return [
        Item(
            str(ids[row]),
            partial(read_picture, path.parent / str(image), file("mask", row), file("regions", row)),
            label,
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


def _numbered(labels: Sequence[Any], class_names: Sequence[str] | None) -> list[int | None]:
    """Class numbers; nothing and numbers below 0 mean that the class is not known."""
    numbers = class_numbers(sorted({label for label in labels if isinstance(label, str) and label}), class_names)
    found = [numbers.get(label) if isinstance(label, str) else label for label in labels]
    return [None if label is None or label < 0 else int(label) for label in found]


def hugging_face(folder: str | Path, class_names: Sequence[str] | None = None) -> list[Item]:
    """Rows of a dataset that Hugging Face ``datasets`` saved to a folder, with a column of images.

    The image is the first column of type Image; the class is a column ``label`` (class names are matched with the
    model's where they agree); masks are a column ``mask``, label maps a column ``regions``; ids are a column ``id``,
    else the row's number.

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
    labels = _numbered(dataset["label"] if "label" in features else [None] * len(dataset), class_names)
    names = getattr(features.get("label"), "names", None)
    if names is not None and set(names) <= set(class_names or ()):
        numbers = class_numbers(names, class_names)
        labels = [None if label is None else numbers[names[label]] for label in labels]
    ids = dataset["id"] if "id" in features else range(len(dataset))
    return [
        Item(str(item_id), partial(table.read, row), label)
        for row, (item_id, label) in enumerate(zip(ids, labels, strict=True))
    ]


@dataclass(eq=False)
class _Dataset:
    """A dataset on the disk, opened where it is read: workers get the path, not the pictures."""

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
    """A mask's column holds pictures, whose palette may tell, or nested lists."""
    return field if isinstance(field, Image.Image) else np.asarray(field)
