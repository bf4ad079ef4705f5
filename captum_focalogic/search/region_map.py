"""Which region sets are still undecided, kept as clauses for a SAT solver."""

from types import TracebackType

import numpy as np

from captum_focalogic.search import states as st
from captum_focalogic.search.states import Packed


class RegionMap:
    """The region sets that no verdict decides if the model is monotone.

    A valid set decides everything above it, an invalid one everything below it: one clause each (the map of MARCO,
    Liffiton et al. 2016). Close it, or use it as a context manager, to free the solver.
    """

    def __init__(self, num_regions: int) -> None:
        from pysat.solvers import Solver

        self.num_regions = num_regions
        self._solver = Solver(name="minisat22")
        self._units = st.unit_masks(num_regions)
        self._whole = st.full(num_regions)
        self._valid = st.empty(num_regions)
        self._last_variable = num_regions
        # First solutions keep many regions then; the solver forgets it in time, so they are grown all the same.
        self._solver.set_phases(range(1, num_regions + 1))

    def __enter__(self) -> "RegionMap":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._solver.delete()

    def decide_above(self, valid: Packed) -> None:
        """Everything that contains one of these sets is decided."""
        self._valid = np.concatenate([self._valid, valid])
        for columns in st.unpack(valid, self.num_regions):
            self._solver.add_clause((-1 - np.flatnonzero(columns)).tolist())

    def decide_below(self, invalid: Packed) -> None:
        """Everything inside one of these sets is decided."""
        for columns in st.unpack(invalid, self.num_regions):
            self._solver.add_clause((1 + np.flatnonzero(~columns)).tolist())

    def seeds(self, count: int) -> Packed:
        """Distinct undecided sets, ``count`` at most, each with only decided sets above it; none if all is decided.

        A clause that holds for this call alone keeps each from those before it: no subset of an earlier seed. A set
        that is maximal under these clauses is maximal without them, since a superset of it breaks none of them.
        """
        self._last_variable += 1
        switch = self._last_variable
        seeds = st.empty(self.num_regions)
        while len(seeds) < count and self._solver.solve(assumptions=[switch]):
            seed = self._grow(self._solver.get_model())
            seeds = np.concatenate([seeds, seed])
            outside = np.flatnonzero(~st.unpack(seed, self.num_regions)[0])
            self._solver.add_clause([-switch, *(1 + outside).tolist()])
        self._solver.add_clause([-switch])
        return seeds

    def _grow(self, model: list[int]) -> Packed:
        """A maximal undecided set that contains the model's."""
        kept = np.ones((1, self.num_regions), dtype=np.bool_)
        kept[0, [-literal - 1 for literal in model if -self.num_regions <= literal < 0]] = False
        seed = st.pack(kept)
        while True:
            missing = self._valid & ~seed
            completing = missing[np.bitwise_count(missing).sum(axis=1) == 1]
            free = self._whole & ~seed & ~np.bitwise_or.reduce(completing, axis=0)
            if not free.any():
                return seed
            seed |= self._units[np.flatnonzero(st.unpack(free, self.num_regions)[0])[0]]
