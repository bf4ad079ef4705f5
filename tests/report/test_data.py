"""What the page computes with: packed, and cut where it would be too much."""

import base64

import numpy as np
import pytest
from makers import IDS, focus_by, focus_of, rule

from captum_focalogic.report import data
from captum_focalogic.report.data import page_data
from captum_focalogic.search import states as st


def rows(text: str, columns: int = len(IDS)) -> np.ndarray:
    """The states of a field of the page, (B, M) bool."""
    octets = np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, -(-columns // 8))
    return np.unpackbits(octets, axis=1, bitorder="little", count=columns).astype(bool)


def test_everything_is_there_where_it_fits() -> None:
    focus = focus_by(rule, names={7: "nose"})
    found = page_data(focus, [(1, 2)] * 6)
    assert rows(found.fields["states"]).tolist() == focus.final_states.tolist()
    assert found.states_kept == found.fields["statesTotal"] == 2
    assert found.answers_kept == found.fields["answers"]["count"] == focus.evaluated.total
    assert {frozenset(IDS[row].tolist()) for row in found.necessary} == {
        frozenset({0}),
        frozenset({7, -3}),
        frozenset({7, 2}),
    }
    assert not found.necessary_cut
    assert found.fields["names"] == ["", "", "", "nose", "", ""]
    assert found.fields["regions"] == IDS.tolist()
    valid = np.frombuffer(base64.b64decode(found.fields["answers"]["valid"]), np.uint8)
    assert np.unpackbits(valid, bitorder="little", count=focus.evaluated.total).tolist() == (
        focus.evaluated.valid.astype(int).tolist()
    )


def test_without_scores_there_are_none() -> None:
    assert page_data(focus_by(rule, scored=False), []).fields["answers"]["scores"] is None


def test_a_large_record_is_cut_to_the_answers_near_the_final_states(monkeypatch: pytest.MonkeyPatch) -> None:
    focus = focus_by(rule)
    monkeypatch.setattr(data, "ANSWER_BYTES", 6 * 14)
    answers = page_data(focus, []).fields["answers"]
    kept = {row.tobytes() for row in rows(answers["states"])}
    assert answers["count"] == len(kept) == 14
    around = st.children(st.pack(focus.final_states), 6)[0]
    assert {row.tobytes() for row in (*focus.final_states, *st.unpack(around, 6))} <= kept


def test_many_necessary_sets_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "NECESSARY_LIMIT", 2)
    found = page_data(focus_of([[0, 1, 2]], [0, 1, 2]), [])
    assert len(found.necessary) == 2
    assert found.necessary_cut
