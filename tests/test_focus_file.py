"""Stored focuses: what the second format holds, that the first is read, and what is refused before it costs memory."""

import base64
import copy
import json
import pickle
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic import FocaLogic, Focus
from captum_focalogic.errors import InputError
from captum_focalogic.focus_file import FORMAT, OLD_FORMAT, _encode, seal
from captum_focalogic.provenance import Prediction, Provenance
from captum_focalogic.search.record import Evaluated

OLD: dict[str, Any] = json.loads("""
{
 "format": "captum-focalogic/focus/1",
 "target": 1,
 "expression": "I_m3 & I2 & I7",
 "final_states": [
  [
   -3,
   2,
   7
  ]
 ],
 "region_ids": [
  -3,
  2,
  7
 ],
 "areas": [
  0.25,
  0.5,
  0.25
 ],
 "names": {
  "7": "nose"
 },
 "certificate": {
  "strategy": "Exhaustive()",
  "reading": "irreducible",
  "num_regions": 3,
  "evaluations": 4,
  "batches": 3,
  "irreducible": true,
  "complete": "yes",
  "complete_up_to": null,
  "unseen_bound": null,
  "reached": true,
  "violations": 0,
  "stopped": null,
  "derived": null
 },
 "evaluated": {
  "total": 4,
  "packed": {
   "shape": [
    4,
    1
   ],
   "zlib": "eJxjZ4AAZijNCqXZoDQAAcgAFg=="
  },
  "valid": {
   "shape": [
    4
   ],
   "zlib": "eJxjZGBgAAAACAAC"
  },
  "score": {
   "shape": [
    4
   ],
   "zlib": "eJxbrmZtz8DAAMcAFtgCBQ=="
  }
 },
 "label_map": {
  "shape": [
   2,
   2
  ],
  "zlib": "eJxjZ4CAv/8hgAnKh9EApFwIAg=="
 },
 "image": {
  "shape": [
   2,
   2,
   3
  ],
  "zlib": "eJz7/x8BAE2+C/U="
 }
}
""")


def with_classes(evaluated: Evaluated) -> Evaluated:
    """The same answers, with two classes each."""
    top = np.tile(np.array([[1, 0]]), (len(evaluated), 1))
    share = np.tile(np.array([[0.75, 0.25]], dtype=np.float32), (len(evaluated), 1))
    return replace(evaluated, top=top, top_probability=share, class_names={1: "bright"})


def explained(height: int = 4, width: int = 6) -> Focus:
    """A focus of an image that knows everything."""

    def model(x: torch.Tensor) -> torch.Tensor:
        total = x.flatten(1).sum(1) / (height * width)
        return torch.stack([torch.full_like(total, 1.2), total], 1)

    labels = (torch.arange(width) * 3 // width - 1).expand(height, width)
    (focus,) = FocaLogic(model, reading="irreducible").explain(
        torch.ones(1, 3, height, width), target=1, feature_mask=labels
    )
    return replace(
        focus,
        names={-1: "left"},
        target_name="bright",
        prediction=Prediction(1, "bright", 0.75, ((1, "bright", 0.75), (0, None, 0.25))),
        parents={-1: 9, 0: 9, 9: 10},
        unfinished=np.arange(len(focus.final_states)) == 0,
        certificate=replace(focus.certificate, irreducible=False, complete="no", unfinished=1),
        provenance=replace(focus.provenance, baseline="mean", preprocess="crop", seed=3),
        further=with_classes(focus.evaluated),
    )


FOCUS = explained()


def read(fields: dict[str, Any]) -> Focus:
    return Focus.from_json(json.dumps(fields))


def test_everything_comes_back() -> None:
    back = Focus.from_json(FOCUS.to_json())
    assert back.to_json() == FOCUS.to_json()
    for name in ("target_name", "prediction", "provenance", "target", "certificate"):
        assert getattr(back, name) == getattr(FOCUS, name), name
    assert back.parents == {-1: 9, 0: 9, 9: 10}
    assert back.unfinished.tolist() == FOCUS.unfinished.tolist()
    assert back.evaluated.predicted is not None
    assert np.array_equal(back.evaluated.predicted, FOCUS.evaluated.predicted)
    assert np.array_equal(back.probabilities, FOCUS.probabilities)
    assert np.array_equal(back.label_map, FOCUS.label_map)
    assert back.further is not None
    assert np.array_equal(back.further.states, FOCUS.evaluated.states)
    assert np.array_equal(back.further.top, [[1, 0]] * len(FOCUS.evaluated))
    assert back.further.top_probability is not None
    assert back.further.top_probability.tolist() == [[0.75, 0.25]] * len(FOCUS.evaluated)
    assert back.further.class_names == {1: "bright"}


def test_answers_beside_the_search_may_be_missing() -> None:
    fields = {name: value for name, value in FOCUS.to_dict().items() if name not in ("further", "checksums")}
    assert read(seal(fields)).further is None
    assert read(seal({**fields, "further": None})).further is None


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("top", {"shape": [7, 6], "zlib": ""}, "at most 5 classes each"),
        ("top", {"shape": [1, 2], "zlib": ""}, "at most 5 classes each"),
        ("top_probability", _encode(np.full((7, 2), 7.0), "<f4"), "between 0 and 1"),
        ("class_names", {"1": 3}, "must hold text"),
    ],
)
def test_answers_beside_the_search_are_checked(part: str, value: Any, message: str) -> None:
    fields = FOCUS.to_dict()
    assert len(FOCUS.evaluated) == 7
    with pytest.raises(InputError, match=f"further.*{message}"):
        read(seal({**fields, "further": {**fields["further"], part: value}}))


def test_it_pickles() -> None:
    assert pickle.loads(pickle.dumps(FOCUS)).to_json() == FOCUS.to_json()


def test_who_was_asked_what_is_told() -> None:
    fields = FOCUS.to_dict()
    assert fields["format"] == FORMAT
    assert fields["provenance"]["criterion"] == "top1"
    assert fields["provenance"]["outputs"] == "logits"
    assert fields["provenance"]["removal"] == "fill"
    assert fields["provenance"]["versions"]["torch"]
    assert len(fields["provenance"]["baseline_digest"]) == 40


class TestTheFirstFormat:
    def test_is_read(self) -> None:
        focus = read(OLD)
        assert OLD["format"] == OLD_FORMAT
        assert focus.formula == OLD["expression"]
        assert focus.region_sets() == [{-3, 2, 7}]
        assert focus.names == {7: "nose"}
        assert focus.certificate.evaluations == 4
        assert focus.label_map is not None
        assert focus.label_map.tolist() == [[7, -3], [2, 2]]
        assert focus.image is not None
        assert focus.provenance == Provenance()
        assert focus.prediction is None

    def test_is_written_as_the_second(self) -> None:
        again = read(read(OLD).to_dict())
        assert again.to_dict()["format"] == FORMAT
        assert again.region_sets() == [{-3, 2, 7}]

    def test_large_label_maps_are_read(self) -> None:
        octets = np.full((1500, 2000), 2, dtype="<i8").tobytes()
        big = {**OLD, "label_map": {"shape": [1500, 2000], "zlib": base64.b64encode(zlib.compress(octets)).decode()}}
        big["image"] = None
        assert read(big).label_map is not None


def test_a_newer_format_is_told() -> None:
    with pytest.raises(InputError, match=r"focus/7.*newer version"):
        read({**FOCUS.to_dict(), "format": "captum-focalogic/focus/7"})


@pytest.mark.parametrize("name", sorted(set(FOCUS.to_dict()) - {"format", "expression", "checksums"}))
def test_a_field_that_was_changed_is_named(name: str) -> None:
    fields = FOCUS.to_dict()
    fields[name] = {"forged": 1} if name != "target" else 0
    with pytest.raises(InputError, match=f"'{name}'.*checksum"):
        read(fields)


def test_checksums_cannot_be_left_out() -> None:
    fields = FOCUS.to_dict()
    del fields["checksums"]["areas"]
    with pytest.raises(InputError, match="'areas'"):
        read(fields)
    with pytest.raises(InputError, match="checksums"):
        read({**FOCUS.to_dict(), "checksums": None})


def bomb(shape: list[int], itemsize: int) -> dict[str, Any]:
    packer = zlib.compressobj(9)
    count = int(np.prod(shape)) * itemsize
    parts = [packer.compress(bytes(1 << 20)) for _ in range(count >> 20)]
    packed = b"".join([*parts, packer.compress(bytes(count & ((1 << 20) - 1))), packer.flush()])
    return {"shape": shape, "zlib": base64.b64encode(packed).decode()}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["label_map"], bomb([1 << 12, 1 << 14], 1)),
        (["evaluated", "packed"], bomb([1 << 23, 1], 8)),
        (["image"], bomb([1 << 12, 1 << 12, 3], 1)),
    ],
    ids=["label_map", "evaluated", "image"],
)
def test_no_file_takes_much_more_memory_than_it_has(path: list[str], value: Any) -> None:
    fields = copy.deepcopy(FOCUS.to_dict())
    place = fields
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    fields["evaluated"]["total"] = 1 << 24
    with pytest.raises(InputError, match=path[0]):
        read(seal(fields))


@given(data=hs.data())
@settings(max_examples=150, deadline=None)
def test_mutants_are_read_or_refused_in_words(data: hs.DataObject) -> None:
    fields = copy.deepcopy(FOCUS.to_dict())
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in [key for key in node if key != "checksums"] if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(fields)
    node, key = data.draw(hs.sampled_from(places))
    node[key] = data.draw(
        hs.one_of(hs.none(), hs.booleans(), hs.integers(), hs.floats(), hs.text(max_size=5), hs.just([]), hs.just({}))
    )
    try:
        read(seal(fields))
    except InputError as error:
        assert len(str(error)) > 20  # noqa: PT017
