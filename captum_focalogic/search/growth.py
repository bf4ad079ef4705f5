"""Sets that are called something which the whole input is not: grown from the empty set, a region at a time.

Final states are cut out of a whole that is valid. Where the whole is not, as for a class that is not the prediction,
there is no final state; yet some regions alone may be called so.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.search import states as st
from captum_focalogic.search.critical import Questions
from captum_focalogic.search.states import Packed

WIDTH = 10
"""Sets that are grown on from each size, those of the highest score."""

MOST = 4
"""Sets that are given, at most."""


@dataclass(frozen=True, eq=False)
class GrownSets:
    """Valid sets that were found by growing; others, and smaller ones, may exist.

    Attributes
    ----------
    states : (S, M) bool
        The sets, smallest first, among equals the highest score first.
    probability : (S,) float32
        The explained class's probability on each, NaN where there is none.
    irreducible : (S,) bool
        Whether each single region of a set was taken away, and none can be spared.
    asked : int
        Sets that were asked about.
    """

    states: Bools
    probability: NDArray[np.float32]
    irreducible: Bools
    asked: int

    def __len__(self) -> int:
        return len(self.states)


def grown_sets(num_regions: int, max_evaluations: int | None = None) -> Questions[GrownSets]:
    """Grow sets by their score until some are valid, then take regions away from these as long as they stay so.

    Parameters
    ----------
    num_regions : int
        M.
    max_evaluations : int, optional
        Most sets to ask about.
    """
    room = float("inf") if max_evaluations is None else max_evaluations
    units = st.unit_masks(num_regions)
    beam: Packed = st.full(num_regions) & np.uint64(0)
    asked: set[bytes] = set()
    children = beam
    found, score = beam[:0], np.zeros(0, dtype=np.float32)
    while len(children) and len(asked) + len(children) <= room:
        answers = yield children
        asked.update(map(bytes, children))
        order = np.argsort(-np.nan_to_num(answers.score, nan=-np.inf), kind="stable")
        valid = order[answers.valid[order]][:MOST]
        if len(valid):
            found, score = children[valid], answers.score[valid]
            break
        beam = children[order[: int(max(1, min(WIDTH, (room - len(asked)) // (4 * num_regions))))]]
        grown = (beam[:, None] | units[None]).reshape(-1, beam.shape[1])
        # Of the whole it is known that it is not valid.
        larger = st.cardinality(grown) > st.cardinality(beam)[0]
        children = st.unique(grown[larger & (st.cardinality(grown) < num_regions)])
    least: dict[bytes, tuple[Packed, float, bool]] = {}
    for row in range(len(found)):
        state, likely, done = found[row : row + 1], float(score[row]), False
        while not done:
            parts = st.children(state, num_regions)[0]
            if len(asked) + len(parts) > room:
                break
            if len(parts):
                answers = yield parts
                asked.update(map(bytes, parts))
            if not len(parts) or not answers.valid.any():
                done = True
            else:
                best = int(np.where(answers.valid, np.nan_to_num(answers.score), -np.inf).argmax())
                state, likely = parts[best : best + 1], float(answers.score[best])
        least[state.tobytes()] = (state, likely, done)
    kept = sorted(least.values(), key=lambda each: (int(st.cardinality(each[0])[0]), -np.nan_to_num(each[1])))
    packed = np.concatenate([state for state, _, _ in kept]) if kept else beam[:0]
    return GrownSets(
        states=st.unpack(packed, num_regions),
        probability=np.array([likely for _, likely, _ in kept], dtype=np.float32),
        irreducible=np.array([done for _, _, done in kept], dtype=np.bool_),
        asked=len(asked),
    )
