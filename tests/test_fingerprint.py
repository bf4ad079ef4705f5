"""Tests of captum_focalogic.fingerprint."""

import enum
import functools
import itertools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from captum_focalogic.errors import FileError, InputError
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.segmenters import Grid, Slic


class Shade(enum.Enum):
    DARK = 0
    LIGHT = 1


@dataclass(frozen=True)
class Settings:
    scale: float
    names: tuple[str, ...] = ()


def above(x: Any, limit: float = 0.5) -> Any:
    return x > limit


def maker(limit: float) -> Any:
    return lambda x: x > limit


class Named:
    identity = "a name"


class Nameless:
    pass


DIFFERENT = [
    None,
    True,
    False,
    0,
    1,
    0.0,
    -0.0,
    1.0,
    float("nan"),
    "",
    "1",
    "a",
    b"a",
    [],
    [1, 2],
    [[1], 2],
    [1, [2]],
    ["a", "b"],
    ["ab"],
    {"a": 1},
    {"a": "1"},
    {1, 2},
    Shade.DARK,
    Shade.LIGHT,
    np.zeros(2),
    np.zeros(2, dtype=np.float32),
    np.zeros((1, 2)),
    np.array(["a"]),
    torch.zeros(2),
    torch.zeros(2, dtype=torch.bfloat16),
    torch.tensor(True),
    Settings(1.0),
    Settings(2.0),
    Settings(1.0, ("a",)),
    Slic(),
    Slic(9),
    Grid(),
    above,
    maker(1.0),
    maker(2.0),
    functools.partial(above, limit=1.0),
    functools.partial(above, limit=2.0),
    Named(),
    len,
    nn.Linear(2, 2, bias=False),
    nn.Linear(2, 2, bias=False),
    nn.ReLU(),
    nn.Sequential(nn.ReLU()),
    nn.Sequential(nn.Sigmoid()),
    np.float64,
    2**70,
]


def test_different_contents_have_different_fingerprints():
    found = [fingerprint(part) for part in DIFFERENT] + [fingerprint()]
    assert len(set(found)) == len(found) == len(DIFFERENT) + 1
    assert all(len(each) == 40 and int(each, 16) >= 0 for each in found)
    assert len({fingerprint("a", "b"), fingerprint("b", "a"), fingerprint("ab"), fingerprint("a", "b", None)}) == 4


def test_equal_contents_have_equal_ones():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({3, 1, 2}) == fingerprint({2, 3, 1})
    assert fingerprint((1, 2)) == fingerprint([1, 2])
    assert fingerprint(np.int64(5), np.float64(0.5), np.bool_(True)) == fingerprint(5, 0.5, True)
    values = np.arange(6.0).reshape(2, 3)
    assert fingerprint(values.T) == fingerprint(np.ascontiguousarray(values.T))
    assert fingerprint(values.astype(">f8")) == fingerprint(values)
    assert fingerprint(torch.from_numpy(values).T) == fingerprint(torch.from_numpy(values).T.contiguous())
    assert fingerprint(maker(1.0)) == fingerprint(maker(1.0))
    layer = nn.Linear(2, 2)
    other = nn.Linear(2, 2)
    other.load_state_dict(layer.state_dict())
    assert fingerprint(layer) == fingerprint(other)
    with torch.no_grad():
        other.weight[0, 0] += 1e-6
    assert fingerprint(layer) != fingerprint(other)


def test_what_refers_to_itself_has_an_end():
    def countdown(limit):
        def count(number):
            return limit if number == 0 else count(number - 1)

        return count

    assert fingerprint(countdown(1)) == fingerprint(countdown(1)) != fingerprint(countdown(2))
    ring = []
    ring.append(ring)
    assert fingerprint(ring) != fingerprint([[]])
    assert fingerprint([1, [2], [2]]) == fingerprint([1, *[[2]] * 2]), "the same part twice is no ring"


def test_files_count_by_what_they_hold(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"x" * 3_000_000)
    one, two = tmp_path / "one", tmp_path / "two"
    assert fingerprint(one) == fingerprint(two) != fingerprint(str(one))
    two.write_bytes(b"x" * 2_999_999 + b"y")
    assert fingerprint(one) != fingerprint(two)
    with pytest.raises(FileError, match="three cannot be read: No such file"):
        fingerprint(tmp_path / "three")


@pytest.mark.parametrize("part", [Nameless(), np.array([object()]), object()], ids=["instance", "objects", "object"])
def test_what_cannot_be_told_is_refused(part):
    with pytest.raises(InputError, match="told"):
        fingerprint(part)
    with pytest.raises(InputError, match="told"):
        fingerprint({"a": [part]})


def environment(seed: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONHASHSEED": seed}


def test_the_same_in_every_process():
    code = (
        "import numpy as np; from captum_focalogic.fingerprint import fingerprint; from captum_focalogic.segmenters "
        "import Slic; print(fingerprint('a', 1, 0.5, {'x', 'y', 'z'}, {'k': [None, True]}, np.arange(3.0), Slic()))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            text=True,
            env=environment(seed),
        ).stdout
        for seed in ("1", "2")
    }
    expected = fingerprint("a", 1, 0.5, {"x", "y", "z"}, {"k": [None, True]}, np.arange(3.0), Slic())
    assert found == {f"{expected}\n"}


def test_known_value():
    """Stored fingerprints stay valid: a change of this value is a change of every cache's and study's keys."""
    assert fingerprint("image", 3, [0.5, None]) == "9dfd99774dd60b4b8f2ab53fb507d72faf1fc4be"


def test_nesting_is_told_apart():
    flat = [fingerprint(list(parts)) for parts in itertools.product(["", "a", ["a"], []], repeat=3)]
    assert len(set(flat)) == len(flat)


def test_keys_tell_images_sizes_and_settings_apart():
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    other = image.copy()
    other[0, 0, 0] += 1
    keys = [
        fingerprint(image, {"a": 1}),
        fingerprint(other, {"a": 1}),
        fingerprint(image.reshape(2, 8, 3), {"a": 1}),
        fingerprint(image, {"a": 2}),
        fingerprint(image, {}),
    ]
    assert len(set(keys)) == len(keys)
    assert fingerprint(image, {"a": 1, "b": 2}) == fingerprint(image.copy(), {"b": 2, "a": 1})


def test_fingerprints_see_every_weight():
    torch.manual_seed(0)
    one, same = nn.Linear(3, 2), nn.Linear(3, 2)
    same.load_state_dict(one.state_dict())
    assert fingerprint(one) == fingerprint(same)
    with torch.no_grad():
        same.weight[1, 2] += 1e-6
    assert fingerprint(one) != fingerprint(same)
    assert fingerprint(one.bfloat16()) != fingerprint(one.half())
