"""Final states of any black-box predicate, without torch."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.errors import InputError
from captum_focalogic.search import states as st
from captum_focalogic.search.record import Scores
from captum_focalogic.search.run import Run, SearchResult, Strategy
from captum_focalogic.search.states import Bools

Predicate = Callable[[Bools], Any]

MAX_BATCH = 1 << 16
"""States handed to the predicate at once, so that its own memory stays bounded."""


def enumerate_final_states(
    predicate: Predicate,
    num_regions: int,
    strategy: Strategy,
    areas: NDArray[np.float64] | None = None,
    max_evaluations: int | None = None,
    time_limit: float | None = None,
) -> SearchResult:
    """Search the final states of a predicate over region sets (paper section 3.2).

    Parameters
    ----------
    predicate : callable
        ``predicate(states)`` with states (B, M) bool, one row a set of kept regions, answers (B,) bool: does the
        prediction survive? It may answer a pair with (B,) float scores, which rank states (beam search).
    num_regions : int
        M.
    strategy : Strategy
        ``Exhaustive()``, ``Beam(5)``, ``Ascending()``, ``Chains()`` or ``HittingSets()``.
    areas : (M,) float64, optional
        Shares of the image, which break ties; equal by default.
    max_evaluations, time_limit : optional
        Budget in states and in seconds. A search that meets it, or a keyboard interrupt, ends with what it has and its
        certificate says so.

    Returns
    -------
    SearchResult
        ``final_states`` (S, M) bool and the ``certificate``.

    Raises
    ------
    InputError
        If an argument, or what the predicate answers, is not as described. What the predicate raises passes through.

    Examples
    --------
    >>> import numpy as np
    >>> from captum_focalogic.search import Exhaustive, enumerate_final_states
    >>> result = enumerate_final_states(lambda kept: kept[:, 0] & (kept[:, 1] | kept[:, 2]), 3, Exhaustive())
    >>> result.final_states.astype(int).tolist()
    [[1, 1, 0], [1, 0, 1]]
    """
    run = Run(strategy, num_regions, areas=areas, max_evaluations=max_evaluations, time_limit=time_limit)
    try:
        while not run.finished:
            batch = run.wanted(MAX_BATCH)
            if len(batch):
                run.tell(*_ask(predicate, st.unpack(batch, num_regions)))
    except KeyboardInterrupt:
        run.stop("interrupted")
    return run.result()


def _ask(predicate: Predicate, states: Bools) -> tuple[Bools, Scores | None]:
    answer = predicate(states)
    valid, score = answer if isinstance(answer, tuple) else (answer, None)
    valid = np.asarray(valid)
    if valid.shape != (len(states),) or not _is_boolean(valid):
        raise InputError(
            f"the predicate must answer {len(states)} booleans for {len(states)} states; "
            f"got {valid.dtype} of shape {valid.shape}"
        )
    if score is None:
        return valid.astype(np.bool_), None
    score = np.asarray(score, dtype=np.float32)
    if score.shape != (len(states),):
        raise InputError(
            f"the predicate's scores must be {len(states)} numbers for {len(states)} states; got shape {score.shape}"
        )
    return valid.astype(np.bool_), score


def _is_boolean(values: NDArray[Any]) -> bool:
    return values.dtype == np.bool_ or bool(np.isin(values, (0, 1)).all())
