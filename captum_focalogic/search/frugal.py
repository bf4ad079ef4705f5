"""For models that are slow or paid by the call: the most telling questions first."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Completeness, Reading, StopReason
from captum_focalogic.search.chains import Sampler
from captum_focalogic.search.hitting_sets import Explorer, RegionMap
from captum_focalogic.search.record import find_violations
from captum_focalogic.search.run import Outcome, Problem, Search, Stopped, check_probability, check_whole


@dataclass(frozen=True)
class Frugal:
    """Questions in the order of what their answers tell, one at a time: useful under any budget of calls.

    First as :class:`HittingSets`, where each answer decides the most other sets that it can on a monotone model: the
    first final state is there after a dozen or two calls. If the verdicts agree with monotonicity to the end, that is
    all. If two of them contradict it, what calls are left go to random deletion orders as in :class:`Chains`, which
    assume nothing: they add the states that were missed, and the bound. No answer is asked for twice.

    Parameters
    ----------
    max_unseen : float
        End the random orders when the bound is at most this.
    seed : int
        Seed of the orders.
    """

    max_unseen: float = 0.05
    seed: int = 0

    reading: ClassVar[Reading] = "irreducible"
    never_repeats: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_probability("max_unseen", self.max_unseen)
        check_whole("seed", self.seed, 0)

    def search(self, problem: Problem) -> Search:
        """Look for the final states of one image."""
        found = [st.empty(problem.num_regions)]
        complete: Completeness = "no"
        stopped: StopReason | None = None
        sampler: Sampler | None = None
        try:
            if not (yield st.full(problem.num_regions)).valid[0]:
                return Outcome(found[0], irreducible=True, complete="yes", reached=True)
            with RegionMap(problem.num_regions) as undecided:
                yield from Explorer(problem, undecided, found, 1, self.seed).explore()
            if find_violations(problem.record.evaluated()).total:
                sampler = Sampler(problem, self.max_unseen, self.seed, 1, np.concatenate(found))
                yield from sampler.sample()
            else:
                complete = "if monotone"
        except Stopped:
            pass
        except KeyboardInterrupt:
            stopped = "interrupted"
        return Outcome(
            np.concatenate(found) if sampler is None else sampler.ends(),
            irreducible=True,
            complete=complete if sampler is None else sampler.complete,
            unseen_bound=None if sampler is None else sampler.bound,
            stopped=stopped,
        )
