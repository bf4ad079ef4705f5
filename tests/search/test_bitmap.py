"""Families of region sets as bitmaps against Python's sets."""

import numpy as np
import oracles
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.search import bitmap


@given(hs.integers(1, 9), hs.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_bitmaps_hold_sets(num_regions, seed):
    rng = np.random.default_rng(seed)
    members = {int(i) for i in np.flatnonzero(rng.random(1 << num_regions) < rng.random())}
    family = bitmap.nothing(num_regions)
    whole = bitmap.nothing(num_regions)
    for i in range(1 << num_regions):
        whole[i // 64] |= np.uint64(1) << np.uint64(i % 64)
    chunks = list(bitmap.chunks(whole, 17))
    for chunk in chunks:
        chunk.add(np.isin(chunk.states[:, 0], np.array(sorted(members), dtype=np.uint64)), family)
    assert sorted(bitmap.list_sets(family)[:, 0].tolist()) == sorted(members)
    assert bitmap.count(family) == len(members)
    below = {i & ~(1 << j) for i in members for j in oracles.bits(i)}
    assert bitmap.list_sets(bitmap.children(family, num_regions))[:, 0].tolist() == sorted(below)
    above = {i | 1 << j for i in members for j in range(num_regions) if not i >> j & 1}
    assert bitmap.list_sets(bitmap.parents(family, num_regions))[:, 0].tolist() == sorted(above)
