"""Focus: cuts that claim no more than is known, and a JSON form that neither loses nor accepts anything odd."""

import base64
import copy
import dataclasses
import json
import random
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as hs
from makers import focus_by, focus_of, rule
from oracles import minimal, region_sets, smallest

from captum_focalogic.errors import InputError
from captum_focalogic.focus import Focus
from captum_focalogic.focus_file import FORMAT, seal
from captum_focalogic.logic import equivalent
from captum_focalogic.provenance import Prediction
from captum_focalogic.search import (
    Ascending,
    Beam,
    Certificate,
    Evaluated,
    Exhaustive,
    Strategy,
    enumerate_final_states,
)
from captum_focalogic.search import states as st

PAPER = focus_of([[1, 2, 3, 5], [1, 2, 3, 6], [1, 4]], [1, 2, 3, 4, 5, 6])
"""The paper's example (1)."""


class TestReadingIt:
    def test_formula(self) -> None:
        i1, i2, i3, i4, i5, i6 = sympy.symbols("I1:7")
        expected = i1 & (i4 | (i2 & i3 & (i5 | i6)))
        assert sympy.simplify_logic(sympy.Equivalent(PAPER.expression, expected)) == sympy.true
        assert str(PAPER.expression).count("I") == 6

    def test_frequencies_shared_and_used(self) -> None:
        assert PAPER.frequencies.tolist() == pytest.approx([1, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 1 / 3])
        assert PAPER.shared.tolist() == [True, False, False, False, False, False]
        assert PAPER.used.all()
        assert focus_of([[2]], [1, 2]).used.tolist() == [False, True]

    def test_region_sets(self) -> None:
        assert focus_of([[-3], [0, 7]], [-3, 0, 7]).region_sets() == [{-3}, {0, 7}]

    def test_no_final_state(self) -> None:
        nothing = focus_of([], [4, 5])
        assert nothing.expression == sympy.false
        assert nothing.frequencies.tolist() == [0, 0]
        assert not nothing.shared.any()
        assert nothing.minimal().region_sets() == nothing.smallest().region_sets() == []

    def test_the_empty_state(self) -> None:
        everything = focus_of([[]], [4, 5])
        assert everything.expression == sympy.true
        assert everything.frequencies.tolist() == [0, 0]

    def test_its_representation_names_what_matters(self) -> None:
        said = repr(dataclasses.replace(PAPER, target=281))
        assert all(part in said for part in ("3 irreducible", "6 regions", "281", str(PAPER.expression)))

    def test_formulas_as_text_are_in_natural_order_at_any_depth(self) -> None:
        assert focus_of([[10], [2]], [2, 10]).formula == "I2 | I10"
        rungs = 150
        ladder = [[*range(0, 2 * k + 1, 2), 2 * k + 1] for k in range(rungs)]  # I0 & (I1 | (I2 & (I3 | ...)))
        deep = focus_of(ladder, list(range(2 * rungs)))
        assert deep.formula.startswith("I0 & (I1 | (I2 & (I3 | (I4 &")
        assert "150 irreducible" in repr(deep)
        assert Focus.from_json(deep.to_json()).expression == deep.expression

    def test_formula_in_names(self) -> None:
        named = dataclasses.replace(PAPER, names={1: "wheel", 5: "sky", 6: "sky"})
        wheel, i2, i3, i4 = sympy.symbols("wheel I2 I3 I4")
        apart = wheel & (i4 | (i2 & i3 & (sympy.Symbol("sky 5") | sympy.Symbol("sky 6"))))
        assert equivalent(named.named_expression(), apart)
        assert equivalent(named.named_expression("all"), wheel & (i4 | (i2 & i3 & sympy.Symbol("sky"))))
        assert PAPER.named_expression() == PAPER.expression
        with pytest.raises(InputError, match="I3"):
            dataclasses.replace(PAPER, names={1: "I3"}).named_expression()


class TestConstruction:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("region_ids", np.array([1, 2, 3, 4, 6, 5])),
            ("region_ids", np.array([1, 1, 2, 3, 4, 5])),
            ("region_ids", np.array([[1], [2], [3], [4], [5], [6]])),
            ("region_ids", np.array([1, 2])),
            ("areas", np.full(5, 0.2)),
            ("areas", np.array([np.nan] * 6)),
            ("areas", np.array([-0.5, 0.5, 0.5, 0.5, 0, 0])),
            ("final_states", np.ones((2, 5), bool)),
            ("final_states", np.ones(6, bool)),
            ("label_map", np.ones(6, int)),
            ("image", np.zeros((2, 2, 3), np.uint8)),  # without a label map
            ("certificate", focus_of([[1]], [1, 2]).certificate),
            ("evaluated", focus_of([[1]], [1, 2]).evaluated),
        ],
    )
    def test_parts_that_do_not_fit(self, field: str, value: object) -> None:
        with pytest.raises(InputError):
            dataclasses.replace(PAPER, **{field: value})

    def test_ids_at_both_ends_of_the_range(self) -> None:
        focus = focus_of([[-(2**63)]], [-(2**63), 2**63 - 1])
        assert Focus.from_json(focus.to_json()).region_ids.tolist() == [-(2**63), 2**63 - 1]


# Cuts, against the truth table of the predicate.


def found(table: np.ndarray, num_regions: int, strategy: Strategy, budget: int | None) -> Focus:
    weights = 1 << np.arange(num_regions)
    score = np.arange(len(table)) % 7 / 7
    result = enumerate_final_states(
        lambda states: (table[states @ weights], score[states @ weights]), num_regions, strategy, max_evaluations=budget
    )
    areas = np.full(num_regions, 1 / num_regions)
    return Focus(np.arange(num_regions), areas, result.final_states, result.certificate, result.evaluated)


def random_table(seed: int) -> tuple[np.ndarray, int]:
    rng = np.random.default_rng(seed)
    num_regions = int(rng.integers(1, 7))
    entries = np.arange(1 << num_regions)
    if rng.random() < 0.5:
        table = rng.random(len(entries)) < rng.choice([0.2, 0.5, 0.8])
    else:
        terms = rng.integers(0, len(entries), size=rng.integers(1, 4))
        table = np.any([(entries & term) == term for term in terms], axis=0)
    table[-1] = True
    return table, num_regions


def is_monotone(table: np.ndarray, num_regions: int) -> bool:
    return all(table[i | 1 << j] for i in np.flatnonzero(table).tolist() for j in range(num_regions))


STRATEGIES = [Exhaustive(), Beam(1), Ascending(), Ascending(max_size=2), Ascending(stop="smallest")]


@given(seed=hs.integers(0, 2**32 - 1), which=hs.integers(0, len(STRATEGIES) - 1), budget=hs.none() | hs.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_cuts_claim_no_more_than_is_known(seed: int, which: int, budget: int | None) -> None:
    table, num_regions = random_table(seed)
    whole = found(table, num_regions, STRATEGIES[which], budget)
    truth = {
        name: region_sets(by(table), range(num_regions)) for name, by in (("minimal", minimal), ("smallest", smallest))
    }
    for cut in (whole.minimal(), whole.smallest(), whole.minimal().smallest()):
        sets = set(cut.region_sets())
        given = set(whole.region_sets())
        assert sets <= given
        assert cut.certificate.evaluations == whole.certificate.evaluations
        assert cut.certificate.irreducible == whole.certificate.irreducible
        if cut.reading == "irreducible":
            continue
        if cut.reading == "minimal":
            assert sets == {state for state in given if not any(other < state for other in given)}
        else:
            assert sets == {state for state in given if len(state) == min(map(len, given))}
        complete, up_to = cut.certificate.complete, cut.certificate.complete_up_to
        if complete == "yes" or (complete == "if monotone" and is_monotone(table, num_regions)):
            assert sets == truth[cut.reading]
        if up_to is not None:
            assert {s for s in sets if len(s) <= up_to} == {s for s in truth[cut.reading] if len(s) <= up_to}
        if whole.reading == cut.reading:
            assert cut.certificate.derived is None
        else:
            assert cut.certificate.derived


def test_a_cut_of_a_model_that_is_not_monotone_is_not_called_complete() -> None:
    # {0, 1, 2} is final by deletions, and {0} alone, which no valid deletions lead to, is valid too.
    table = np.zeros(8, bool)
    table[[0b111, 0b001]] = True
    focus = found(table, 3, Exhaustive(), None)
    assert focus.region_sets() == [{0, 1, 2}]
    assert focus.certificate.complete == "yes"
    for cut in (focus.minimal(), focus.smallest()):
        assert cut.region_sets() == [{0, 1, 2}]
        assert cut.certificate.violations == 0, "{0} was never asked, so nothing contradicts monotonicity"
        assert cut.certificate.complete == "if monotone"
        assert "no smaller part" not in str(cut.certificate)
        assert "fewest" not in str(cut.certificate)
    assert found(table, 3, Ascending(), None).minimal().region_sets() == [{0}]


def test_a_cut_is_not_called_complete_on_a_condition_known_to_fail() -> None:
    # {0} is valid and {0, 1} is not; both are asked, since {0, 2} is valid too.
    table = np.zeros(8, bool)
    table[[0b111, 0b101, 0b001]] = True
    focus = found(table, 3, Exhaustive(), None)
    assert focus.certificate.violations
    assert focus.certificate.complete == "yes"
    assert focus.minimal().certificate.complete == focus.smallest().certificate.complete == "no"


def test_cuts_of_the_papers_example() -> None:
    nested = focus_of([[1], [1, 2], [3, 4, 5]], [1, 2, 3, 4, 5])
    assert nested.minimal().region_sets() == [{1}, {3, 4, 5}]
    assert nested.smallest().region_sets() == [{1}]
    assert nested.minimal().reading == "minimal"
    assert nested.smallest().reading == nested.minimal().smallest().reading == "smallest"
    assert nested.minimal().certificate.derived == "those irreducible states that contain no other one (absorption)"
    smallest = nested.minimal().smallest()
    assert "absorption" in smallest.certificate.derived
    assert "minimal states of least cardinality" in smallest.certificate.derived
    assert PAPER.smallest().region_sets() == [{1, 4}]


def test_cuts_of_a_cut_are_itself() -> None:
    assert PAPER.minimal().minimal().region_sets() == PAPER.minimal().region_sets()
    smallest = PAPER.smallest()
    assert smallest.smallest() is smallest
    assert smallest.minimal() is smallest


# JSON.


@hs.composite
def focuses(draw: hs.DrawFn) -> Focus:
    ids = sorted(draw(hs.sets(hs.integers(-(2**63), 2**63 - 1), min_size=1, max_size=70)))
    rng = np.random.default_rng(draw(hs.integers(0, 2**32 - 1)))
    num_regions, count = len(ids), draw(hs.integers(0, 5))
    reading = draw(hs.sampled_from(["irreducible", "minimal", "smallest"]))
    packed = st.canonical_order(st.pack(rng.random((count, num_regions)) < 0.5), num_regions)
    if reading != "irreducible":
        packed = st.absorb(packed)
    if reading == "smallest":
        packed = packed[st.cardinality(packed) == st.cardinality(packed).min(initial=num_regions)]
    finals = st.unpack(packed, num_regions)
    evaluations = draw(hs.integers(len(finals), 2**num_regions))
    asked = draw(hs.integers(0, min(20, evaluations)))
    score = rng.integers(0, 2**32, size=asked, dtype=np.uint32).view(np.float32)  # every bit pattern, NaN included
    evaluated = Evaluated(
        st.pack(rng.random((asked, num_regions)) < 0.5),
        rng.random(asked) < 0.5,
        score,
        num_regions,
        evaluations,
    )
    complete = draw(hs.sampled_from(["yes", "if monotone", "no", "bound"]))
    certificate = Certificate(
        strategy=draw(hs.text(max_size=5)),
        reading=reading,
        num_regions=num_regions,
        evaluations=evaluations,
        batches=draw(hs.integers(min(1, evaluations), min(100, evaluations))),
        irreducible=draw(hs.booleans()),
        complete=complete,
        complete_up_to=draw(hs.none() | hs.integers(-1, min(9, num_regions))),
        unseen_bound=draw(hs.floats(0, 1)) if complete == "bound" else None,
        reached=draw(hs.booleans()),
        violations=0 if complete == "if monotone" else draw(hs.integers(0, min(9, evaluations**2 // 4))),
        stopped=draw(hs.none() | hs.sampled_from(["max_evaluations", "time_limit", "interrupted", "memory"])),
        derived=draw(hs.none() | hs.text(max_size=5)),
    )
    areas = draw(hs.lists(hs.floats(0, 1), min_size=num_regions, max_size=num_regions))
    label_map = rng.choice(np.array(ids), size=draw(hs.tuples(hs.integers(0, 4), hs.integers(1, 4))))
    image = rng.integers(0, 256, size=(*label_map.shape, 3), dtype=np.uint8)
    shown = draw(hs.sampled_from(["nothing", "labels", "image"]))
    return Focus(
        region_ids=np.array(ids, dtype=np.int64),
        areas=np.array(areas),
        final_states=finals,
        certificate=certificate,
        evaluated=evaluated,
        label_map=None if shown == "nothing" else label_map,
        image=image if shown == "image" else None,
        target=draw(hs.none() | hs.integers(0, 999) | hs.tuples(hs.integers(0, 9), hs.integers(0, 9))),
        names=draw(hs.dictionaries(hs.sampled_from(ids), hs.text(max_size=5), max_size=3)),
    )


def same_bits(first: Focus, second: Focus) -> bool:
    arrays = [
        (
            focus.region_ids,
            focus.areas,
            focus.final_states,
            focus.evaluated.packed,
            focus.evaluated.valid,
            focus.evaluated.score,
            focus.label_map,
            focus.image,
        )
        for focus in (first, second)
    ]
    plain = [
        (focus.certificate, focus.target, dict(focus.names), focus.evaluated.total, focus.evaluated.num_regions)
        for focus in (first, second)
    ]
    return plain[0] == plain[1] and all(
        (a is None and b is None) or (a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
        for a, b in zip(*arrays, strict=True)
    )


@given(focuses())
@settings(max_examples=60, deadline=None)
def test_json_and_back_bit_for_bit(focus: Focus) -> None:
    text = focus.to_json()
    back = Focus.from_json(text)
    assert same_bits(focus, back)
    assert back.to_json() == text
    assert back.expression == focus.expression


def test_what_is_read_back_can_be_written_to() -> None:
    back = Focus.from_json(PAPER.to_json())
    back.evaluated.valid[0] = False
    back.final_states[0, 0] = False


def test_json_is_readable_where_it_matters() -> None:
    fields = json.loads(focus_of([[7, -3]], [-3, 2, 7], names={7: "beak"}, target=3).to_json())
    assert fields["format"] == FORMAT
    assert fields["final_states"] == [[-3, 7]]
    assert fields["expression"] == "I_m3 & I7", "in natural order"
    assert fields["names"] == {"7": "beak"}
    assert fields["target"] == 3
    assert fields["certificate"]["complete"] == "yes"


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "focus.json"
    focus = focus_of([[1]], [1, 2], names={1: "Schnäbel 鳥"})
    focus.save(path)
    assert same_bits(focus, Focus.load(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"focus\.json"):
        Focus.load(path)
    with pytest.raises(FileNotFoundError):
        Focus.load(tmp_path / "none.json")


def packed(shape: list[int], octets: bytes) -> dict[str, Any]:
    return {"shape": shape, "zlib": base64.b64encode(zlib.compress(octets)).decode()}


IMAGE = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
LABELS = np.array([[1, 2], [3, 3]])
SOUND = focus_of([[1, 2], [3]], [1, 2, 3], label_map=LABELS, target=5, names={1: "a"}, image=IMAGE).to_dict()
DAMAGE: list[tuple[list[Any], Any]] = [
    (["format"], "captum-focalogic/focus/3"),
    (["format"], "captum-focalogic/focus"),
    (["region_ids"], []),
    (["region_ids"], [1, 2]),
    (["region_ids"], [1, 3, 2]),
    (["region_ids"], [1, 2, 3.0]),
    (["region_ids"], [1, 2, 10**30]),
    (["region_ids"], [[1], [2], [3]]),
    (["region_ids"], "123"),
    (["region_ids"], [True, 2, 3]),
    (["areas"], [0.5, 0.5]),
    (["areas"], [0.5, 0.5, float("nan")]),
    (["areas"], [0.5, 0.6, -0.1]),
    (["areas"], [[0.5], [0.5], [0]]),
    (["areas"], None),
    (["final_states"], [[1, 4]]),
    (["final_states"], [[1.0]]),
    (["final_states"], [[True]]),
    (["final_states"], [1]),
    (["final_states"], {"1": 2}),
    (["target"], "cat"),
    (["target"], 1.5),
    (["target"], True),
    (["target"], ["a"]),
    (["target"], {"a": 1}),
    (["names"], []),
    (["names"], {"beak": "7"}),
    (["certificate"], None),
    (["certificate", "complete"], "maybe"),
    (["certificate", "num_regions"], 4),
    (["certificate", "evaluations"], -1),
    (["certificate", "color"], "red"),
    (["evaluated", "total"], 1),
    (["evaluated", "total"], "2"),
    (["evaluated", "valid"], packed([2], b"\1\2")),
    (["evaluated", "valid"], packed([1], b"\1")),
    (["evaluated", "valid"], packed([2], b"\1")),
    (["evaluated", "valid"], packed([2], b"\1\1\1")),
    (["evaluated", "valid"], packed([-1], b"\1")),
    (["evaluated", "valid"], packed([-2, -1], b"\1\1")),
    (["evaluated", "valid"], packed([1 << 62], b"\1\1")),
    (["evaluated", "valid"], packed([1 << 32, 1 << 32], b"")),
    (["evaluated", "valid"], {"shape": [2], "zlib": "!!"}),
    (["evaluated", "valid"], {"shape": [2], "zlib": "é"}),
    (["evaluated", "valid"], {"shape": [2], "zlib": base64.b64encode(b"not zlib").decode()}),
    (["evaluated", "valid"], {"shape": [2.0], "zlib": base64.b64encode(zlib.compress(b"\1\1")).decode()}),
    (["evaluated", "valid"], {"shape": None, "zlib": ""}),
    (["evaluated", "valid"], {"zlib": ""}),
    (["evaluated", "packed"], packed([2, 1], struct.pack("<2Q", 1, 8))),
    (["label_map"], packed([4], bytes([0, 1, 2, 2]))),
    (["label_map"], packed([2, 2], bytes([0, 1, 2, 3]))),
    (["label_map"], packed([1 << 14, 1 << 14], b"")),
    (["label_map"], []),
    (["label_map"], None),  # the image is still there
    (["image"], packed([2, 3, 2], bytes(12))),
    (["image"], packed([12], bytes(12))),
    (["image"], packed([2, 2, 3], bytes(11))),
    (["image"], []),
]


@pytest.mark.parametrize(("path", "value"), DAMAGE, ids=lambda part: str(part)[:60])
def test_damage_is_refused(path: list[Any], value: object) -> None:
    fields = copy.deepcopy(SOUND)
    place = fields
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(InputError):
        Focus.from_json(json.dumps(fields))
    # Whoever damages a field may mend its checksum too.
    with pytest.raises(InputError):
        Focus.from_json(json.dumps(seal(fields)))


@pytest.mark.parametrize("name", sorted(set(SOUND) - {"expression", "image"}))
def test_missing_fields_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=name):
        Focus.from_dict({key: value for key, value in SOUND.items() if key != name})


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "3", '"focus"', "{}", "[" * 100_000, '{"a": ' * 100_000, "1" * 5000, "\ud800", "nan"],
    ids=lambda text: text[:12],
)
def test_text_that_is_no_focus(text: str) -> None:
    with pytest.raises(InputError):
        Focus.from_json(text)


def test_the_formula_is_never_read() -> None:
    assert Focus.from_dict({**SOUND, "expression": "__import__('os').abort()"}).region_sets() == [{3}, {1, 2}][::-1]


class TestMutations:
    """Documents with something changed at random are read as a sound focus or refused, never anything else."""

    ODD: ClassVar = [
        None,
        True,
        False,
        0,
        -1,
        1,
        2,
        3,
        7,
        0.5,
        -0.0,
        1e400,
        float("nan"),
        10**25,
        "",
        "1",
        "x",
        "AAAA",
        [],
        {},
    ]
    ODD += [[[]], [None], [1, [2]], {"shape": [0], "zlib": "eJwDAAAAAAE="}, {"zlib": 3}]

    def places(self, value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Every place in a document."""
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return [path] + [place for key, item in inner for place in self.places(item, (*path, key))]

    def mutated(self, document: dict[str, Any], rng: random.Random) -> Any:
        document = copy.deepcopy(document)
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            path = rng.choice(self.places(document))
            if not path:
                return rng.choice(self.ODD)
            place = document
            for key in path[:-1]:
                place = place[key]
            action = rng.random()
            if action < 0.2:
                del place[path[-1]]
            elif action < 0.3 and isinstance(place, list):
                place.insert(path[-1], copy.deepcopy(place[path[-1]]))
            elif action < 0.5 and isinstance(place[path[-1]], str):
                place[path[-1]] = self.garbled(place[path[-1]], rng)
            elif action < 0.6:
                other = rng.choice(self.places(document))
                value = document
                for key in other:
                    value = value[key]
                place[path[-1]] = copy.deepcopy(value)
            else:
                place[path[-1]] = copy.deepcopy(rng.choice(self.ODD))
            if not isinstance(document, dict):
                break
        return document

    def garbled(self, text: str, rng: random.Random) -> str:
        at = rng.randrange(len(text) + 1)
        return text[:at] + rng.choice(["", "A", "=", "é", "\0", "4"]) + text[at + rng.randrange(3) :]

    def check(self, text: str) -> bool:
        try:
            focus = Focus.from_json(text)
        except InputError:
            return False
        assert same_bits(focus, Focus.from_json(focus.to_json()))
        str(focus.certificate)
        focus.smallest()
        return True

    def test_of_the_document(self) -> None:
        rng = random.Random(0)
        read = sum(self.check(json.dumps(self.mutated(SOUND, rng))) for _ in range(1500))
        assert 0 < read < 750

    def test_of_the_text(self) -> None:
        rng = random.Random(1)
        text = json.dumps(SOUND)
        read = 0
        for _ in range(700):
            changed = text
            for _ in range(rng.choice([1, 1, 2, 5])):
                changed = self.garbled(changed, rng)
            read += self.check(changed)
        assert 0 < read < 350


class TestWhatPeopleAreShownFirst:
    @staticmethod
    def asked(probabilities: dict[tuple[int, ...], float], areas: list[float]) -> Focus:
        states = np.array([[j in state for j in range(len(areas))] for state in probabilities], dtype=bool)
        focus = focus_of(states, list(range(len(areas))), areas=areas)
        # The record is in another order, and knows of more states.
        packed = np.concatenate([focus.evaluated.packed[::-1], st.full(len(areas))])
        chances = np.array([*list(probabilities.values())[::-1], 1.0], dtype=np.float32)
        record = Evaluated(packed, np.ones(len(packed), bool), -chances, len(areas), len(packed), probability=chances)
        return dataclasses.replace(focus, evaluated=record)

    def test_few_regions_then_probability_then_little_area(self) -> None:
        focus = self.asked(
            {(0,): 0.2, (1,): 0.5, (2,): 0.50001, (3, 4): 0.9, (0, 4): float("nan")}, [0.1, 0.4, 0.3, 0.1, 0.1]
        )
        assert focus.probabilities.tolist()[:4] == pytest.approx([0.2, 0.5, 0.50001, 0.9])
        assert focus.scores.tolist()[:4] == pytest.approx([-0.2, -0.5, -0.50001, -0.9])
        # 0.5 and 0.50001 are equal to 1e-4, so the smaller area comes first; what has no probability comes last.
        assert focus.strongest.tolist() == [2, 1, 0, 3, 4]

    def test_what_is_equal_keeps_its_order(self) -> None:
        focus = self.asked({(0,): 0.5, (1,): 0.5, (2,): 0.5}, [0.25, 0.25, 0.25, 0.25])
        assert focus.strongest.tolist() == [0, 1, 2]

    def test_without_answers_nothing_is_made_up(self) -> None:
        assert np.isnan(PAPER.probabilities).all()
        assert PAPER.strongest.tolist() == [2, 0, 1]
        assert focus_of([], [1, 2]).strongest.tolist() == []


class TestUnfinishedStates:
    def test_are_none_unless_told(self) -> None:
        assert PAPER.unfinished.tolist() == [False] * 3
        fewer = dataclasses.replace(PAPER, final_states=PAPER.final_states[:1])
        assert fewer.unfinished.tolist() == [False]

    def test_stay_so_in_a_cut(self) -> None:
        certificate = dataclasses.replace(PAPER.certificate, complete="no", irreducible=False, unfinished=2)
        focus = dataclasses.replace(PAPER, unfinished=np.array([True, False, True]), certificate=certificate)
        assert dict(
            zip(map(tuple, map(sorted, focus.minimal().region_sets())), focus.minimal().unfinished, strict=True)
        ) == {
            (1, 4): True,
            (1, 2, 3, 5): True,
            (1, 2, 3, 6): False,
        }
        assert focus.smallest().unfinished.tolist() == [True]
        assert Focus.from_json(focus.to_json()).unfinished.tolist() == [True, False, True]

    def test_must_be_one_for_each_state(self) -> None:
        with pytest.raises(InputError, match="unfinished"):
            dataclasses.replace(PAPER, unfinished=np.array([True]))


class TestPartsOfRegions:
    TREE: ClassVar = {1: 7, 2: 7, 7: 9, 3: 9}

    def test_are_kept(self) -> None:
        focus = dataclasses.replace(PAPER, parents=self.TREE, names={1: "7.1", 7: "wheel"})
        back = Focus.from_json(focus.to_json())
        assert back.parents == self.TREE
        assert back.names == {1: "7.1", 7: "wheel"}

    @pytest.mark.parametrize(
        ("parents", "words"),
        [
            ({1: 2}, r"\[2\] cannot be regions and also consist of parts"),
            ({8: 9}, r"\[8\] are neither regions nor made of regions"),
            ({1: 8, 8: 9, 9: 8}, "circle"),
        ],
    )
    def test_must_be_a_tree(self, parents: dict[int, int], words: str) -> None:
        with pytest.raises(InputError, match=words):
            dataclasses.replace(PAPER, parents=parents)

    def test_long_chains_are_no_matter(self) -> None:
        chain = {1: 100} | {place: place + 1 for place in range(100, 100_000)}
        assert len(dataclasses.replace(PAPER, parents=chain).parents) == 99_901


def test_regions_are_named_without_taking_the_focus_apart() -> None:
    focus = focus_by(rule)
    named = focus.named({0: "head", 7: "tail"}).named({2: "paw"})
    assert named.names == {0: "head", 7: "tail", 2: "paw"}
    assert focus.names == {}
    assert str(named.named_expression()) == str(focus.named({0: "head", 7: "tail", 2: "paw"}).named_expression())
    with pytest.raises(InputError, match="there is no region 1 to name; there are -3, 0, 2, 7, 11, 12"):
        focus.named({1: "head"})
    with pytest.raises(InputError, match="a region's name must be a text; got ' '"):
        focus.named({0: " "})


def test_each_final_state_tells_its_class_its_probability_and_its_score() -> None:
    prediction = Prediction(4, "cat", 0.9, ((4, "cat", 0.9), (2, "dog", 0.1)))
    focus = focus_by(rule, target=4, target_name="cat", prediction=prediction)
    valid = focus.evaluated.valid
    probability = np.linspace(0.1, 0.9, len(valid)).astype(np.float32)
    predicted = np.where(focus.evaluated.states[:, 0], 4, 17)
    predicted[np.flatnonzero((focus.evaluated.states == focus.final_states[-1]).all(axis=1))] = 2
    told = replace(focus, evaluated=replace(focus.evaluated, predicted=predicted, probability=probability))
    assert told.classes.dtype == np.int64
    by_state = {state.tobytes(): place for place, state in enumerate(focus.evaluated.states)}
    places = [by_state[state.tobytes()] for state in focus.final_states]
    assert told.classes.tolist() == predicted[places].tolist()
    assert told.probabilities.tolist() == probability[places].tolist()
    rows = told.named({0: "head"}).table().rows
    assert [row[3] for row in rows] == [told.class_name(int(told.classes[row])) or "class 17" for row in told.strongest]
    assert {row[0].split(", ")[0] for row in rows} <= {"head", "-3"}
    assert [row[4] for row in rows] == told.probabilities[told.strongest].tolist()
    assert (told.class_name(4), told.class_name(2), told.class_name(17)) == ("cat", "dog", None)
    assert focus_by(rule, scored=False).classes.tolist() == [-1] * len(focus.final_states)
    assert "class" in focus_by(rule, scored=False).table().markdown()
