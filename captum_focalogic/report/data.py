"""What the page computes with: final states, necessary sets and the model's answers, packed and within bounds."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import TruncatedWarning, hearing
from captum_focalogic.focus import Focus
from captum_focalogic.logic.necessity import necessary_states
from captum_focalogic.report.words import lack_words
from captum_focalogic.search import states as st
from captum_focalogic.search.record import Evaluated

ANSWER_BYTES = 1_200_000
"""Most bytes that the model's answers may take in the page, before encoding."""

FURTHER_BYTES = 600_000
"""The same for the answers beside the search, with their classes."""

TOP = 3
"""Classes of an answer that are shown."""

STATE_BYTES = 600_000
"""The same for final states, and for necessary sets."""

NECESSARY_LIMIT = 2_000


@dataclass(frozen=True)
class PageData:
    """The numbers of one focus, cut to what a page can hold.

    Attributes
    ----------
    necessary : (K, M) bool
        The smallest region sets whose removal defeats every final state.
    necessary_cut : bool
        Whether there are more of them.
    states_kept, answers_kept : int
        How many final states and answers the page holds.
    fields : dict
        Plain JSON types for the page's script.
    """

    necessary: Bools
    necessary_cut: bool
    states_kept: int
    answers_kept: int
    fields: dict[str, Any]


def page_data(focus: Focus, centres: list[tuple[int, int]]) -> PageData:
    """Gather what the page computes with.

    Parameters
    ----------
    focus : Focus
    centres : list of (int, int)
        A point in each region, for moving between regions by the arrow keys; may be empty.
    """
    states = focus.final_states[: _fitting(STATE_BYTES, focus.num_regions)]
    necessary, cut = _necessary(focus)
    rows = _answers(focus)
    evaluated = focus.evaluated
    scores = evaluated.score[rows].astype("<f4")
    fields = {
        "regions": [int(region) for region in focus.region_ids],
        "names": [focus.names.get(int(region), "") for region in focus.region_ids],
        "areas": [round(float(area), 6) for area in focus.areas],
        "centres": centres,
        "states": _bits(states),
        "statesTotal": len(focus.final_states),
        "strongest": int(focus.strongest[0]) if len(states) and focus.strongest[0] < len(states) else None,
        "target": focus.target if isinstance(focus.target, int) else None,
        "lack": lack_words(focus),
        "necessary": _bits(necessary),
        "necessaryCut": cut,
        "answers": {
            "states": _bits(st.unpack(evaluated.packed[rows], focus.num_regions)),
            "valid": _text(np.packbits(evaluated.valid[rows], bitorder="little")),
            "scores": None if np.isnan(scores).all() else _text(scores),
            "probabilities": None if evaluated.probability is None else _shares(evaluated.probability[rows]),
            "count": len(rows),
            "total": evaluated.total,
        },
        "further": None if focus.further is None else _further(focus.further),
    }
    return PageData(necessary, cut, len(states), len(rows), fields)


def _necessary(focus: Focus) -> tuple[Bools, bool]:
    # Hitting sets of thousands of states are found one by one; those of the smallest states are not necessary sets.
    with hearing(TruncatedWarning):
        found = necessary_states(focus.final_states, limit=NECESSARY_LIMIT + 1)
    room = min(NECESSARY_LIMIT, _fitting(STATE_BYTES, focus.num_regions))
    return found[:room], len(found) > room


def _answers(focus: Focus) -> NDArray[np.int64]:
    """Rows of the record that the page keeps: all if they fit, else those that people are likeliest to look at.

    These are the final states and what is left of them without one region, then states near the whole image and near
    the empty one.
    """
    packed = focus.evaluated.packed
    room = _fitting(ANSWER_BYTES, focus.num_regions, extra=5)
    if len(packed) <= room:
        return np.arange(len(packed))
    final = st.pack(focus.final_states)
    around = st.unique(np.concatenate([final, st.children(final, focus.num_regions)[0]]))
    sizes = st.cardinality(packed)
    distance = np.minimum(sizes, focus.num_regions - sizes)
    distance[np.isin(st.sort_keys(packed), st.sort_keys(around))] = -1
    return np.sort(np.argsort(distance, kind="stable")[:room])


def _further(evaluated: Evaluated) -> dict[str, Any]:
    """Answers beside the search: the first classes as pairs of a class's place in ``classes`` and its probability."""
    rows = np.arange(min(len(evaluated), _fitting(FURTHER_BYTES, evaluated.num_regions, extra=60)))
    if evaluated.top is not None and evaluated.top_probability is not None and evaluated.top.shape[1]:
        classes, shares = evaluated.top[rows, :TOP], evaluated.top_probability[rows, :TOP]
    else:
        named = np.full(len(rows), -1) if evaluated.predicted is None else evaluated.predicted[rows]
        classes, shares = named[:, None], np.full((len(rows), 1), np.nan, dtype=np.float32)
    known, place = np.unique(classes, return_inverse=True)
    places = place.reshape(classes.shape)
    tops = [
        [
            [int(places[row, k]), None if not shares[row, k] >= 0 else round(float(shares[row, k]), 4)]
            for k in range(classes.shape[1])
            if classes[row, k] >= 0 and not shares[row, k] < 0
        ]
        for row in range(len(rows))
    ]
    return {
        "states": _bits(st.unpack(evaluated.packed[rows], evaluated.num_regions)),
        "valid": _text(np.packbits(evaluated.valid[rows], bitorder="little")),
        "classes": [[index, evaluated.class_names.get(index, f"class {index}")] for index in known.tolist()],
        "tops": tops,
    }


def _shares(values: NDArray[np.float32]) -> str | None:
    return None if np.isnan(values).all() else _text(values.astype("<f4"))


def _fitting(bound: int, num_regions: int, extra: int = 0) -> int:
    return bound // (-(-num_regions // 8) + extra)


def _bits(states: Bools) -> str:
    return _text(np.packbits(states, axis=1, bitorder="little"))


def _text(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
