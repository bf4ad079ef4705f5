"""Every valid state and its border, level by level."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Reading
from captum_focalogic.search.run import Outcome, Problem, Search, Stopped


@dataclass(frozen=True)
class Exhaustive:
    """Judge all children of all valid states until a level has no valid one (paper section 3.2).

    Exact on any model: the result is every state that valid deletions lead to and that has no valid child.
    """

    reading: ClassVar[Reading] = "irreducible"
    never_repeats: ClassVar[bool] = True

    def search(self, problem: Problem) -> Search:
        """Look for the final states of one image."""
        num_regions = problem.num_regions
        start = st.full(num_regions)
        final = [st.empty(num_regions)]
        try:
            level = start[(yield start).valid]
            while len(level):
                children, parent, _ = st.children(level, num_regions)
                distinct, which = np.unique(st.sort_keys(children), return_inverse=True)
                del distinct
                first = np.unique(which, return_index=True)[1]
                frontier = children[first]
                valid = (yield frontier).valid
                reducible = np.zeros(len(level), dtype=np.bool_)
                reducible[parent[valid[which]]] = True
                final.append(level[~reducible])
                level = frontier[valid]
        except Stopped:
            return Outcome(np.concatenate(final), irreducible=True, complete="no", reached=True)
        return Outcome(np.concatenate(final), irreducible=True, complete="yes", reached=True)
