"""Random predicates for hypothesis: monotone DNFs and arbitrary truth tables."""

import numpy as np
from hypothesis import strategies as hs
from oracles import dnf_table


@hs.composite
def monotone_tables(draw, max_regions=8):
    """Truth tables of random monotone DNFs, the empty term included."""
    num_regions = draw(hs.integers(1, max_regions))
    term = hs.frozensets(hs.integers(0, num_regions - 1), max_size=num_regions)
    return dnf_table(draw(hs.lists(term, max_size=6)), num_regions)


@hs.composite
def arbitrary_tables(draw, max_regions=7):
    """Truth tables without any structure, sparse and dense ones, mostly with a valid whole."""
    num_regions = draw(hs.integers(1, max_regions))
    rng = np.random.default_rng(draw(hs.integers(0, 2**32 - 1)))
    table = rng.random(1 << num_regions) < draw(hs.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]))
    table[-1] = draw(hs.integers(0, 9)) > 0
    return table


@hs.composite
def noisy_tables(draw, max_regions=7):
    """Monotone tables with some verdicts flipped, as real networks have them."""
    table = draw(monotone_tables(max_regions)).copy()
    rng = np.random.default_rng(draw(hs.integers(0, 2**32 - 1)))
    table ^= rng.random(len(table)) < draw(hs.sampled_from([0.02, 0.1]))
    table[-1] = True
    return table


def tables(max_regions=7):
    """Any of these."""
    return hs.one_of(monotone_tables(max_regions), arbitrary_tables(max_regions), noisy_tables(max_regions))
