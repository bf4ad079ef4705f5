"""Files that others wrote, damaged in every way: each reader takes them, or says which file is wrong, and where.

Every reader of foreign files is in :data:`READERS`. Its valid file is changed a bounded, seeded number of times: types
swapped, fields missing, huge numbers, deep nesting, cut and overwritten bytes, other encodings.
"""

import io
import json
import random
import tracemalloc
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makers import focus_by, rule
from PIL import Image
from sympy.abc import x, y, z

from captum_focalogic.classifier import split_labels
from captum_focalogic.cli.logic_sets import read_names
from captum_focalogic.errors import InputError, StudyError
from captum_focalogic.files import read_lines
from captum_focalogic.fingerprint import checksum
from captum_focalogic.focus import Focus
from captum_focalogic.focus_file import seal
from captum_focalogic.ground_truth import read_mask
from captum_focalogic.images import open_image
from captum_focalogic.integrations.annotations import CocoAnnotations, Shapes, read_voc, read_voc_masks
from captum_focalogic.integrations.masks import MaskCache
from captum_focalogic.integrations.weights import read_state_dict
from captum_focalogic.logic.formats import FORMATS, load_expression, write_expression
from captum_focalogic.segmenters import read_label_map
from captum_focalogic.study.data import hugging_face, listed
from captum_focalogic.study.store import read_settings

MUTANTS = 80
"""Of each kind, for each reader."""

MEMORY = 400_000_000
"""Bytes that no damaged file of a few kilobytes may take."""

PIXELS = np.array([[0, 1, 1], [2, 2, 0]], dtype=np.uint8)
Mutant = tuple[bytes, tuple[str, ...]]
"""Content, and the fields of which one must be named if it is refused; none where the damage has no field."""


@dataclass(frozen=True)
class Reader:
    """How a valid file is made, read and damaged."""

    file: str
    content: bytes
    read: Callable[[Path], Any]
    mutants: Callable[[bytes, random.Random], Iterator[Mutant]] | None = None
    prepare: Callable[[Path], Any] = lambda path: None
    subject: Callable[[Path], str] = lambda path: path.name


HOSTILE = (
    None, True, -1, 0, 3, 10**30, 10**400, 1e308, -0.5, float("nan"), float("inf"), "", "x", "5", "\x1b[31m", "é\ud800",
    [], {}, [[]], [None], [1, "x"], {"a": {"b": 1}}, json.loads("[" * 300 + "]" * 300),
)  # fmt: skip


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every part of a JSON value is."""
    yield path
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths_of(part, (*path, key))


def damaged_json(content: bytes, rng: random.Random, after: Callable[[Any], Any] = lambda fields: fields):
    """One part of the value replaced, wrapped, repeated, renamed or missing."""
    places = [path for path in paths_of(json.loads(content)) if path]
    for _ in range(MUTANTS):
        value = json.loads(content)
        path = rng.choice(places)
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        match rng.randrange(6):
            case 0:
                del parent[path[-1]]
            case 1:
                parent[path[-1]] = [parent[path[-1]]] * rng.choice((1, 2, 50))
            case 2:
                parent[path[-1]] = str(parent[path[-1]])
            case _:
                parent[path[-1]] = rng.choice(HOSTILE)
        yield json.dumps(after(value)).encode(), tuple(key for key in path if isinstance(key, str))


def damaged_xml(content: bytes, rng: random.Random) -> Iterator[Mutant]:
    """One element with another text, empty, or missing."""
    for _ in range(MUTANTS):
        root = ET.fromstring(content)
        parent = rng.choice([element for element in root.iter() if len(element)])
        child = rng.choice(list(parent))
        if rng.random() < 0.4:
            parent.remove(child)
        else:
            child.text = rng.choice(("", "x", "-1", "0", "1e9", "nan", "inf", "9" * 5000, "3.7", "5 5"))
            child[:] = []
        yield ET.tostring(root), (child.tag, parent.tag)


def damaged_bytes(content: bytes, rng: random.Random) -> Iterator[Mutant]:
    """Cut, overwritten, repeated and re-encoded; no field can be told."""
    yield b"", ()
    yield b"[" * 100_000, ()
    yield b'{"a":' * 100_000, ()
    yield b"(" * 20_000, ()
    yield b"\xff\xfe" + content, ()
    yield b"\xef\xbb\xbf" + content, ()
    yield content.decode("latin-1").encode("utf-16"), ()
    yield content.replace(b"a", "é".encode("latin-1")), ()
    yield content + content, ()
    for _ in range(MUTANTS):
        damaged = bytearray(content)
        match rng.randrange(4):
            case 0:
                del damaged[rng.randrange(len(damaged)) :]
            case 1:
                start = rng.randrange(len(damaged))
                del damaged[start : start + rng.randrange(1, 9)]
            case 2:
                for _ in range(rng.randrange(1, 6)):
                    damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            case _:
                start = rng.randrange(len(damaged))
                damaged[start:start] = rng.choice((b"\0", b"\xc3", b"9" * 5000, b"\x1b[2J", b'"', b"\n", b"-"))
        yield bytes(damaged), ()


COLUMNS: dict[str, list[Any]] = {
    "image": ["a.png", "a.png", "b.png"],
    "id": ["1", "2", "3"],
    "label": ["cat", "dog", "cat"],
    "mask": ["m.png", "", ""],
}


def as_csv(columns: dict[str, list[Any]]) -> bytes:
    rows = zip(*columns.values(), strict=True)
    return "\n".join(",".join(map(str, row)) for row in [tuple(columns), *rows]).encode("utf-8", "replace")


def as_parquet(columns: dict[str, list[Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def damaged_table(write: Callable[[dict[str, list[Any]]], bytes], content: bytes, rng: random.Random):
    """One column of another type, with one odd value, or missing."""
    odd = (
        [None] * 3,
        [1, 2, 10**18],
        [1.5, 2.5, float("nan")],
        [b"\xff", b"x", b""],
        [True, False, True],
        [[1], [2], []],
    )
    odd += ([{"bytes": b"x", "path": "é"}] * 3, ["\0", "x" * 5000, "\x1b[31m"], ["../x", "/dev/null", "."])
    for _ in range(MUTANTS):
        columns = dict(COLUMNS)
        name = rng.choice(list(columns))
        if rng.random() < 0.2:
            del columns[name]
        else:
            columns[name] = rng.choice(odd)
        yield write(columns), (name, *map(str, columns.get(name, ())))


def saved(save: Callable[[Any], None]) -> bytes:
    sink = io.BytesIO()
    save(sink)
    return sink.getvalue()


def png(pixels: np.ndarray, mode: str | None = None) -> bytes:
    return saved(lambda sink: Image.fromarray(pixels, mode).save(sink, format="PNG"))


def images_beside(path: Path) -> None:
    for name in ("a.png", "b.png", "m.png"):
        Image.fromarray(PIXELS).save(path.with_name(name))


def data_set(path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"image": [Image.fromarray(np.zeros((2, 2, 3), np.uint8))] * 2, "label": [0, 1]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(path.parent)


def read_all(items: list[Any]) -> None:
    for item in items:
        item.read()


COCO = {
    "images": [
        {"id": 7, "file_name": "train/a.jpg", "height": 4, "width": 5},
        {"id": 9, "file_name": "b.jpg", "height": 2, "width": 2},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 3, "segmentation": {"size": [4, 5], "counts": [3, 5, 12]}},
        {"id": 2, "image_id": 7, "category_id": 1, "segmentation": [[0, 0, 2, 0, 2, 4, 0, 4]], "iscrowd": 0},
        {"id": 3, "image_id": 9, "category_id": 1, "bbox": [1, 0, 2, 1]},
    ],
}
VOC = b"""<annotation><size><width>8</width><height>5</height><depth>3</depth></size>
<object><name>cat</name><bndbox><xmin>2</xmin><ymin>1</ymin><xmax>4</xmax><ymax>5</ymax></bndbox></object>
<object><name>dog</name><bndbox><xmin>8</xmin><ymin>5</ymin><xmax>8</xmax><ymax>5</ymax></bndbox></object>
</annotation>"""
SHAPES = [{"size": [4, 6], "counts": [2, 5, 17]}, {"size": [4, 6], "counts": "24b0"}, [1, 0, 5, 0, 5, 4, 1, 4]]


def read_coco(path: Path) -> None:
    coco = CocoAnnotations(path)
    for image in (7, 9, "a.jpg", "b.jpg"):
        try:
            coco.truth(image)
        except InputError as error:
            if "has no image" not in str(error):
                raise


def cached_masks() -> bytes:
    masks = np.zeros((2, 3, 4), np.bool_)
    return saved(lambda sink: np.savez_compressed(sink, bits=np.packbits(masks), shape=np.asarray(masks.shape)))


SUMS = {"model": checksum("demo"), "data": checksum("scenes:2")}

READERS = {
    "COCO": Reader("coco.json", json.dumps(COCO).encode(), read_coco, damaged_json),
    "Pascal VOC": Reader("voc.xml", VOC, read_voc, damaged_xml),
    "Pascal VOC's masks": Reader("kinds.png", png(PIXELS), read_voc_masks),
    "shapes": Reader(
        "shapes.json", json.dumps(SHAPES).encode(), lambda path: Shapes(path)(torch.zeros(3, 4, 6)), damaged_json
    ),
    "image": Reader("image.png", png(PIXELS), open_image),
    "mask": Reader("mask.png", png(PIXELS), read_mask),
    "mask, NumPy": Reader("mask.npy", saved(lambda sink: np.save(sink, PIXELS)), read_mask),
    "label map": Reader("map.png", png(PIXELS), read_label_map),
    "label map, NumPy": Reader("map.npy", saved(lambda sink: np.save(sink, PIXELS)), read_label_map),
    "list, CSV": Reader(
        "list.csv",
        as_csv(COLUMNS),
        lambda path: read_all(listed(path, ["cat", "dog"])),
        partial(damaged_table, as_csv),
        images_beside,
    ),
    "list, Parquet": Reader(
        "list.parquet",
        as_parquet(COLUMNS),
        lambda path: read_all(listed(path, ["cat", "dog"])),
        partial(damaged_table, as_parquet),
        images_beside,
    ),
    "data set's state": Reader(
        "state.json",
        b"",
        lambda path: read_all(hugging_face(path.parent, ["cat", "dog"])),
        damaged_json,
        data_set,
        lambda path: path.parent.name,
    ),
    "data set's features": Reader(
        "dataset_info.json",
        b"",
        lambda path: read_all(hugging_face(path.parent, ["cat", "dog"])),
        damaged_json,
        data_set,
        lambda path: path.parent.name,
    ),
    "data set's rows": Reader(
        "data-00000-of-00001.arrow",
        b"",
        lambda path: read_all(hugging_face(path.parent, ["cat", "dog"])),
        None,
        data_set,
        lambda path: path.parent.name,
    ),
    "mask cache": Reader("masks.npz", cached_masks(), lambda path: MaskCache(path.parent).get("masks")),
    "labels": Reader("labels.txt", b"cat\ndog\na horse\n", lambda path: split_labels(f"clip@{path}")),
    "lines": Reader("lines.txt", b"cat\ndog\na horse\n", read_lines),
    "names of regions": Reader(
        "names.json", b'{"1": "wheel", "2": "door"}', lambda path: read_names(path, [Path("focus.json")]), damaged_json
    ),
    "focus": Reader(
        "focus.json",
        focus_by(rule).to_json().encode(),
        Focus.load,
        partial(damaged_json, after=lambda fields: seal({k: v for k, v in fields.items() if k != "checksums"})),
    ),
    "settings of a study": Reader(
        "settings.json",
        json.dumps({"model": "demo", "data": "scenes:2", "checksums": SUMS}).encode(),
        lambda path: read_settings(path.parent),
        damaged_json,
    ),
    "weights": Reader("weights.pt", saved(lambda sink: torch.save({"a": torch.ones(2)}, sink)), read_state_dict),
} | {
    f"formula, {name}": Reader(
        f"formula{each.suffixes[0]}", write_expression(x & (y | ~z), name).encode(), load_expression
    )
    for name, each in FORMATS.items()
    if each.read is not None
}


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_by_file_and_field(name, tmp_path):
    reader = READERS[name]
    path = tmp_path / "here" / reader.file
    path.parent.mkdir()
    reader.prepare(path)
    content = reader.content or path.read_bytes()
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader.read(path)
    rng = random.Random(name)
    faults, refused = [], 0
    tracemalloc.start()
    damaged = [*damaged_bytes(content, rng), *(reader.mutants(content, rng) if reader.mutants else ())]
    for octets, fields in damaged:
        path.write_bytes(octets)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader.read(path)
        except (InputError, StudyError) as error:
            said = str(error)
            refused += 1
            # Without the folder, whose name may hold the field's by chance.
            named = not fields or any(field in said.replace(str(path.parent), "") for field in fields)
            if reader.subject(path) not in said and not any(field and field in said for field in fields):
                faults.append(f"the file is not named: {said[:300]}")
            elif not named:
                faults.append(f"none of {fields} is named: {said[:300]}")
            elif len(said) > 2_000:
                faults.append(f"{len(said)} characters: {said[:300]}")
        except Exception as error:
            faults.append(f"{type(error).__name__}: {str(error)[:200]} for {fields} {octets[:80]!r}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY, f"{peak:,} bytes were taken"
    assert not faults, "\n".join([f"{len(faults)} of {len(damaged)}:", *sorted(set(faults))[:12]])
    assert refused or name == "mask cache", "no mutant was refused, so that nothing was tested"
