"""States as bits against arrays of booleans."""

import numpy as np
import pytest

from captum_focalogic.search import states as st


@pytest.mark.parametrize("num_regions", [1, 3, 6, 7, 64, 65, 130])
def test_packing_is_undone_by_unpacking(num_regions):
    states = np.random.default_rng(num_regions).random((20, num_regions)) < 0.5
    packed = st.pack(states)
    assert (st.unpack(packed, num_regions) == states).all()
    assert (st.cardinality(packed) == states.sum(axis=1)).all()
    for row, word in ((0, 0), (7, num_regions // 64 if num_regions % 64 else num_regions // 64 - 1)):
        bits = [j for j in range(64 * word, min(num_regions, 64 * word + 64)) if states[row, j]]
        assert int(packed[row, word]) == sum(1 << (j % 64) for j in bits)
    assert {tuple(s) for s in states} == {tuple(s) for s in st.unpack(st.unique(packed), num_regions)}
