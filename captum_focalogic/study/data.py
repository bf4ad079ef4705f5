"""Data sets by name: embedded scenes, folders of images, lists, and folders of Hugging Face datasets."""

import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from captum_focalogic.arrays import Labels
from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.files import read_json, read_text, reading, within
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.ground_truth import GroundTruth, read_mask
from captum_focalogic.images import decode_image, open_image
from captum_focalogic.names import whole_number
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

if TYPE_CHECKING:
    import pyarrow as pa

DATA_CHOICES = (
    "scenes:NUMBER, a folder of images (a subfolder for each class), a list (.csv or .parquet), or a folder that "
    "Hugging Face datasets saved"
)


MAX_SCENES = 1_000_000
"""The most embedded scenes that a study lists."""


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
        count = whole_number(number)
        if count is None or not 1 <= count <= MAX_SCENES:
            raise InputError(
                f"scenes:NUMBER needs a number of scenes, at least 1 and at most {MAX_SCENES:,}; got {_short(text)}"
            )
        return scenes(count)
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

    Masks may stand in the same tree, and are each image's own truth then, and no images: ``NAME_mask.png`` beside
    ``NAME.jpg`` (or ``NAME-mask``, ``NAME.mask``); or two folders ``images`` and ``masks`` with the same paths below.

    Raises
    ------
    InputError
        If there are images both in subfolders and outside of them, the subfolders are parts of a data set (train, val),
        or some are no classes of the model.
    """
    root = Path(folder).resolve()
    root, paths, masks = _with_masks(root)
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
            partial(read_image, path, masks.get(path)),
            found.numbers[parts[0]] if len(parts) > 1 else None,
            found.rule if len(parts) > 1 else "",
            (path, masks[path]) if path in masks else (path,),
        )
        for path, parts in zip(paths, names, strict=True)
    ]


_MASK_ENDINGS = ("_mask", "-mask", ".mask")
_MASK_FILES = (".png", ".tif", ".tiff", ".bmp", ".gif")


def _with_masks(root: Path) -> tuple[Path, list[Path], dict[Path, Path]]:
    """Where images are, these images, and the masks that stand in the same tree."""
    inner = {entry.name for entry in root.glob("*") if entry.is_dir() and not is_hidden(entry.name)}
    if inner == {"images", "masks"}:
        paths = _image_paths(root / "images")
        places = {path: (root / "masks" / path.relative_to(root / "images")).with_suffix("") for path in paths}
        found = {path: _existing(str(place)) for path, place in places.items()}
        if any(found.values()):
            return root / "images", paths, {path: mask for path, mask in found.items() if mask is not None}
    paths = _image_paths(root)
    beside = {}
    for path in paths:
        stem = str(path.with_suffix(""))
        masks = [mask for ending in _MASK_ENDINGS if (mask := _existing(stem + ending)) is not None]
        if masks:
            beside[path] = masks[0]
    taken = set(beside.values())
    return root, [path for path in paths if path not in taken], beside


def _existing(stem: str) -> Path | None:
    """The file of a mask, by its path without the ending."""
    return next((path for ending in _MASK_FILES if (path := Path(stem + ending)).is_file()), None)


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


def read_image(
    path: "Path | Embedded", mask: "Path | Embedded | None" = None, regions: "Path | Embedded | None" = None
) -> Sample:
    """Read an image, upright and in RGB, with its mask and its label map where there are files of them."""
    return Sample(_image(path), None if regions is None else _regions(regions), None if mask is None else _mask(mask))


def _image(source: "Path | Embedded") -> Image.Image:
    if isinstance(source, Path):
        return open_image(source)
    with source.named():
        return open_image(source.read())


def _mask(source: "Path | Embedded") -> GroundTruth:
    if isinstance(source, Path):
        return read_mask(source)
    with source.named():
        return read_mask(decode_image(source.read(), "mask"))


def _regions(source: "Path | Embedded") -> Labels:
    if isinstance(source, Path):
        return read_label_map(source)
    with source.named():
        return np.asarray(decode_image(source.read(), "label map"), dtype=np.int64)


def listed(path: str | Path, class_names: Sequence[str] | None = None) -> list[Item]:
    """Images of a list: a CSV or Parquet file with a column ``image`` (or ``path``) of files.

    Files are relative to the list; in a Parquet file of Hugging Face's hub the images are inside. Further columns, all
    optional: ``id`` (by default the image's path), ``label`` (a number, or a name as in :func:`image_folder`), ``mask``
    and ``regions`` (files).

    Raises
    ------
    InputError
        If the file cannot be read, or has no such column.
    """
    path = Path(path).resolve()
    with reading(path):
        columns = _known_columns(_columns(path, class_names))
        named = next((name for name in ("image", "path") if name in columns), None)
        if named is None:
            raise InputError(f"{path} needs a column image (or path) that names files; it has {', '.join(columns)}")
        images = columns[named]
        with within("label"):
            labels, rule = _numbered(columns.get("label", [None] * len(images)), class_names)
        ids = columns.get("id", images)

        def file(name: str, row: int) -> "Path | Embedded | None":
            value = columns.get(name, [None] * len(images))[row]
            if value is None or value == "" or isinstance(value, Embedded):
                return value or None
            if not isinstance(value, str):
                raise InputError(f"the column {name} must name files; row {row + 1} holds {_short(value)}")
            return path.parent / value

        items = []
        for row, label in enumerate(labels):
            image = file(named, row)
            if image is None:
                raise InputError(f"the column {named} must name files; row {row + 1} is empty")
            item_id = f"row {row}" if isinstance(ids[row], Embedded) else str(ids[row])
            parts = (image, file("mask", row), file("regions", row))
            files = tuple(part for part in parts if part is not None)
            read = partial(_read_row, path, row, *parts)
            items.append(Item(item_id, read, label, "" if label is None else rule, files))
        return items


def _read_row(path: Path, row: int, *files: "Path | Embedded | None") -> Sample:
    with reading(path), within(f"row {row + 1}"):
        return read_image(*files)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Embedded:
    """The bytes of an image in a Parquet file, as those of Hugging Face's hub are; read when they are needed."""

    path: Path
    column: str
    row: int

    def read(self) -> bytes:
        """The content of the file that was put in there.

        Raises
        ------
        InputError
            If there is none.
        """
        cell = _cell(self.path, self.column, self.row)
        content = cell and cell.get("bytes")
        if not isinstance(content, bytes):
            raise InputError(f"there is no image in it, but {_short(content)}")
        return content

    @property
    def identity(self) -> str:
        """A hash of these bytes; raises :class:`InputError` as :meth:`read` does."""
        with reading(self.path), within(f"row {self.row + 1}"):
            return fingerprint(self.read())

    @contextmanager
    def named(self) -> Iterator[None]:
        """Where whatever is wrong with it stands."""
        with within(self.column):
            yield


def _cell(path: Path, column: str, row: int) -> Any:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < rows:
                return _group(path, path.stat().st_mtime_ns, group, column)[row].as_py()
            row -= rows
    raise InputError("there is no such row any more")


@lru_cache(maxsize=1)
def _group(path: Path, changed: int, group: int, column: str) -> "pa.ChunkedArray":  # noqa: ARG001
    """A part of a column, kept since the next image that is read is most likely of it, until the file changes."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        return file.read_row_group(group, columns=[column]).column(column)


def _columns(path: Path, class_names: Sequence[str] | None) -> dict[str, list[Any]]:
    pa = arrow()
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix.lower() != ".parquet":
            # Arrow would take text in another encoding for bytes, and say nothing
            content = read_text(path).encode()
            with pyarrow.csv.open_csv(io.BytesIO(content)) as rows:
                texts = {name: pa.string() for name in rows.schema.names if name.strip().lower() in _TEXTS}
            options = pyarrow.csv.ConvertOptions(column_types=texts, strings_can_be_null=False)
            table = pyarrow.csv.read_csv(io.BytesIO(content), convert_options=options)
            return {name: table.column(name).to_pylist() for name in table.column_names}
        schema = pyarrow.parquet.read_schema(path)
        inside = {field.name for field in schema if pa.types.is_struct(field.type) and _holds_bytes(field.type)}
        table = pyarrow.parquet.read_table(path, columns=[name for name in schema.names if name not in inside])
        columns = {name: table.column(name).to_pylist() for name in table.column_names}
    except pa.ArrowException as error:
        raise InputError(f"the list {path} cannot be read: {error}") from error
    names = _label_names(schema)
    if names is not None and class_names and "label" in columns:
        columns["label"] = _by_number(columns["label"], names)
    rows = pyarrow.parquet.read_metadata(path).num_rows
    return columns | {name: [Embedded(path, name, row) for row in range(rows)] for name in inside}


_TEXTS = ("image", "path", "id", "mask", "regions")
_COLUMNS = (*_TEXTS, "label")


def _known_columns(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The columns, those that are known called so whatever their capitals and the spaces around them."""
    found: dict[str, list[Any]] = {}
    for name, values in columns.items():
        plain = name.strip().lower()
        known = plain if plain in _COLUMNS else name
        if known in found:
            raise InputError(f"two columns are called {known}; keep one of them")
        found[known] = values
    return found


def _holds_bytes(kind: Any) -> bool:
    return any(field.name == "bytes" for field in kind)


def _label_names(schema: "pa.Schema") -> list[str] | None:
    """Names of classes that datasets notes in a Parquet file."""
    noted = (schema.metadata or {}).get(b"huggingface")
    with within("the note of Hugging Face datasets"):
        label = {} if noted is None else json.loads(noted)["info"]["features"].get("label", {})
        names = label.get("names")
        return None if names is None else list(map(str, names))


def _by_number(labels: Sequence[Any], names: Sequence[str]) -> list[str | None]:
    with within("label"):
        return [None if label is None or label < 0 else names[label] for label in labels]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _label(value: Any) -> int | str | None:
    if isinstance(value, str | None):
        return value
    # pandas writes whole numbers with one missing as floats, and the missing one as NaN
    if isinstance(value, float) and (math.isnan(value) or value.is_integer()):
        return None if math.isnan(value) else int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"the column label must hold class numbers or names; got {_short(value)}")
    return value


def _numbered(labels: Sequence[Any], class_names: Sequence[str] | None) -> tuple[list[int | None], str]:
    """Class numbers and their rule; nothing and numbers below 0 mean that the class is not known."""
    labels = [_label(label) for label in labels]
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
    with reading(folder):
        _check_saved(Path(folder), datasets)
        return _rows_of(folder, datasets, class_names)


_STATE: dict[str, Any] = {
    "_data_files": list,
    "_fingerprint": str,
    "_format_columns": list | None,
    "_format_kwargs": dict,
    "_format_type": str | None,
    "_output_all_columns": bool,
    "_split": str | None,
}
"""What is of which type in a data set's ``state.json``."""


def _check_saved(folder: Path, datasets: Any) -> None:
    """Refuse a data set whose notes are damaged, by file and field: its own reader names neither."""
    with reading(folder / "dataset_info.json"), within("features"):
        columns = datasets.Features.from_dict(read_json(folder / "dataset_info.json")["features"])
    with reading(folder / "state.json"):
        state = read_json(folder / "state.json")
        for name, kind in _STATE.items():
            with within(name):
                if not isinstance(state[name], kind):
                    raise InputError(f"expected {getattr(kind, '__name__', kind)}; got {_short(state[name])}")
        with within("_format_columns"):
            strangers = [name for name in state["_format_columns"] or () if name not in columns]
            if strangers:
                raise InputError(f"there is no column {_short(strangers[0])}")
        with within("_format_type"):
            datasets.formatting.get_formatter(state["_format_type"])
        with within("_split"):
            if state["_split"] is not None:
                datasets.NamedSplit(state["_split"])
        if not state["_data_files"]:
            raise InputError("_data_files: there is none")
        for file in state["_data_files"]:
            with within("_data_files"), within("filename"):
                if not (folder / file["filename"]).is_file():
                    raise InputError(f"there is no file {_short(file['filename'])}")


def _rows_of(folder: str | Path, datasets: Any, class_names: Sequence[str] | None) -> list[Item]:
    dataset = datasets.load_from_disk(str(folder))
    features = dataset.features
    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    images = [name for name in images if name not in ("mask", "regions")]
    if not images:
        raise InputError(f"{folder} has no column of images; its columns are {', '.join(features)}")
    table = _Dataset(Path(folder).resolve(), images[0], "mask" in features, "regions" in features)
    said: list[Any] = list(dataset["label"]) if "label" in features else [None] * len(dataset)
    names = getattr(features.get("label"), "names", None)
    if names is not None and class_names:
        said = list(_by_number(said, names))
    with within("label"):
        labels, rule = _numbered(said, class_names)
    ids = dataset["id"] if "id" in features else range(len(dataset))
    return [
        Item(str(item_id), partial(table.read, row), label, "" if label is None else rule, (_Row(table, row),))
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
    _undecoded: Any = None

    def read(self, row: int) -> Sample:
        import datasets

        with reading(self.folder), within(f"row {row}"):
            if self._opened is None:
                self._opened = datasets.load_from_disk(str(self.folder))
            fields = self._opened[row]
            with within(self.image):
                image = open_image(fields[self.image])
            with within("regions"):
                regions = np.asarray(fields["regions"], dtype=np.int64) if self.regions else None
            with within("mask"):
                mask = fields["mask"] if self.masks else None
                return Sample(image, regions, None if mask is None else read_mask(_as_mask(mask)))

    def stored(self, row: int) -> list[Any]:
        """What stands in a row's columns, images as the bytes of their files."""
        import datasets

        with reading(self.folder), within(f"row {row}"):
            if self._undecoded is None:
                opened = datasets.load_from_disk(str(self.folder))
                for name, feature in opened.features.items():
                    if isinstance(feature, datasets.Image):
                        opened = opened.cast_column(name, datasets.Image(decode=False))
                self._undecoded = opened
            fields = self._undecoded[row]
            return [
                Path(value["path"]) if isinstance(value, dict) and value.get("bytes") is None else value
                for value in (fields.get(name) for name in (self.image, "mask", "regions"))
            ]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None, "_undecoded": None}


@dataclass(frozen=True, eq=False)
class _Row:
    """A row of a dataset by its content."""

    table: _Dataset
    row: int

    @property
    def identity(self) -> str:
        """A hash of the bytes of its image, its mask and its regions."""
        return fingerprint(self.table.stored(self.row))


def _as_mask(field: Any) -> Any:
    """A mask's column holds images, whose palette may tell, or nested lists."""
    return field if isinstance(field, Image.Image) else np.asarray(field)
