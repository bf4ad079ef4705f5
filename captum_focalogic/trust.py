"""How far a formula can be trusted: held against the model on random region sets, another fill, and once more."""

import math
from dataclasses import dataclass, field

import numpy as np

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError
from captum_focalogic.logic.counting import count_models
from captum_focalogic.tables import printable

SAMPLE = 60
"""Region sets asked where the formula holds, and as many where it fails."""

_Z = 1.959964
"""Of the 95 % intervals."""


@dataclass(frozen=True)
class Share:
    """A share that was measured.

    Attributes
    ----------
    share : float
        NaN where it is not defined.
    low, high : float
        Its 95 % interval; both are the share itself where every region set was asked.
    asked : int
        Region sets that it rests on.
    """

    share: float
    low: float
    high: float
    asked: int

    def __str__(self) -> str:
        if math.isnan(self.share):
            return "not defined"
        exact = self.low == self.high
        return f"{100 * self.share:.0f} %" + ("" if exact else f" ({100 * self.low:.0f} to {100 * self.high:.0f})")


@dataclass(frozen=True)
class SecondFill:
    """The strongest sets, judged with dropped regions filled otherwise.

    Attributes
    ----------
    baseline : str
        What they were filled with.
    region_sets : tuple of tuple of int
        The sets, as region ids.
    holds : tuple of bool
        Whether each keeps the prediction with that fill too.
    """

    baseline: str
    region_sets: tuple[tuple[int, ...], ...]
    holds: tuple[bool, ...]


@dataclass(frozen=True)
class Repeats:
    """States that were asked again, in other batches and past every memory.

    Attributes
    ----------
    asked, differed : int
        How many, and how many were judged otherwise the second time.
    certain : bool
        False if one that is shown was judged otherwise: then nothing here is certain.
    """

    asked: int
    differed: int
    certain: bool = True


@dataclass(frozen=True)
class Trust:
    """What an explanation is worth, as asked of the model.

    Attributes
    ----------
    soundness : Share
        Of the region sets for which the formula holds, those that keep the prediction.
    coverage : Share
        Of the region sets that keep the prediction, those for which the formula holds.
    constant : float
        Share of all region sets that keep the prediction: the soundness of a formula that always holds.
    second_fill : SecondFill or None
        None where there is no final state.
    repeats : Repeats or None
        None where nothing was asked again.
    """

    soundness: Share
    coverage: Share
    constant: float
    second_fill: SecondFill | None = None
    repeats: Repeats | None = None

    @property
    def statements(self) -> list[str]:
        """What was found, a sentence each."""
        any_set = f"{100 * self.constant:.0f} %"
        if math.isnan(self.soundness.share):
            said = [f"the formula accepts none of the random region sets asked (of any, {any_set} keep the answer)"]
        else:
            said = [
                f"of random region sets that the formula accepts, {self.soundness} keep the answer (of any, {any_set})"
            ]
        if math.isnan(self.coverage.share):
            said.append("no random region set asked keeps it, so that none could be missed")
        else:
            said.append(f"of those that keep it, the formula accepts {self.coverage}")
        if self.second_fill is not None and self.second_fill.holds:
            kept, count = sum(self.second_fill.holds), len(self.second_fill.holds)
            first = "holds" if self.second_fill.holds[0] else "falls"
            too = " too" if self.second_fill.holds[0] else ""
            others = f" ({kept} of the {count} strongest hold)" if count > 1 else ""
            said.append(f"with {self.second_fill.baseline}{too} the first {first}{others}")
        if self.repeats is not None:
            said.append(f"{self.repeats.asked} asked again, {self.repeats.differed} differed")
            if not self.repeats.certain:
                said.append("so nothing here is certain")
        return said

    def __str__(self) -> str:
        return printable("; ".join(self.statements))


@dataclass(frozen=True, eq=False)
class StateSample:
    """Region sets to ask the model about, drawn from where a formula holds and from where it fails.

    Attributes
    ----------
    states : (B, M) bool
        The sets.
    holds : (B,) bool
        Whether the formula holds.
    weight : float
        Share of all region sets for which it holds.
    complete : bool
        Whether these are all the sets there are.
    """

    states: Bools
    holds: Bools
    weight: float
    complete: bool = field(default=False)


def draw_sample(final_states: Bools, count: int = SAMPLE, seed: int = 0) -> StateSample:
    """Draw region sets, evenly among those for which T(V) holds and evenly among the others.

    All 2^M sets are taken where they are no more than the sample.

    Parameters
    ----------
    final_states : (S, M) bool
        V.
    count : int
        Sets of each of the two kinds.
    seed : int
        Of the drawing.
    """
    num_states, num_regions = final_states.shape
    if count < 1:
        raise InputError(f"count must be at least 1; got {count}")
    if num_regions < 63 and 1 << num_regions <= 2 * count:
        every = np.arange(1 << num_regions)[:, None] >> np.arange(num_regions) & 1
        states = every.astype(np.bool_)
        holds = _contains(states, final_states)
        return StateSample(states, holds, float(holds.mean()), complete=True)
    rng = np.random.default_rng(seed)
    weight = count_models(final_states, num_regions) / 2**num_regions if num_states else 0.0
    inside = _supersets(final_states, count, rng) if num_states else np.zeros((0, num_regions), dtype=np.bool_)
    outside = _others(final_states, count, rng) if weight < 1 else np.zeros((0, num_regions), dtype=np.bool_)
    holds = np.repeat([True, False], [len(inside), len(outside)])
    return StateSample(np.concatenate([inside, outside]), holds, float(weight))


def measure(sample: StateSample, valid: Bools) -> tuple[Share, Share, float]:
    """Soundness, coverage and the share of all sets that are valid, from the model's verdicts on a sample.

    The shares of the two kinds are weighted by how many region sets there are of each. The interval of the coverage
    takes both of theirs at their ends that bear it most.
    """
    holds, weight = sample.holds, sample.weight
    kept, rest = int(valid[holds].sum()), int(valid[~holds].sum())
    sound, other = _share(kept, int(holds.sum()), sample.complete), _share(rest, int((~holds).sum()), sample.complete)
    asked = len(valid)

    def covered(inside: float, outside: float) -> float:
        inside, outside = (0.0 if math.isnan(each) else each for each in (inside, outside))
        both = inside * weight + outside * (1 - weight)
        return inside * weight / both if both else math.nan

    coverage = Share(
        covered(sound.share, other.share), covered(sound.low, other.high), covered(sound.high, other.low), asked
    )
    base = sum(
        0.0 if math.isnan(part.share) else part.share * of for part, of in ((sound, weight), (other, 1 - weight))
    )
    return sound, coverage, base


def _share(hits: int, count: int, complete: bool) -> Share:
    """A share with its Wilson interval."""
    if not count:
        return Share(math.nan, math.nan, math.nan, 0)
    share = hits / count
    if complete:
        return Share(share, share, share, count)
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    reach = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return Share(share, max(0.0, middle - reach), min(1.0, middle + reach), count)


def _contains(states: Bools, final_states: Bools) -> Bools:
    """Whether each state contains a final state, (B,)."""
    found = np.zeros(len(states), dtype=np.bool_)
    for final in final_states:
        found |= states[:, final].all(axis=1)
    return found


def _supersets(final_states: Bools, count: int, rng: np.random.Generator) -> Bools:
    """Sets that contain a final state, each as likely as any other (Karp and Luby 1983)."""
    sizes = final_states.sum(axis=1)
    likely = np.exp2(-(sizes - sizes.min()).astype(np.float64))
    likely /= likely.sum()
    drawn: list[Bools] = []
    while len(drawn) < count:
        row = rng.choice(len(final_states), p=likely)
        state = (rng.random(final_states.shape[1]) < 0.5) | final_states[row]
        # A set that contains k final states is met k times as often.
        if rng.random() * int((final_states <= state).all(axis=1).sum()) < 1:
            drawn.append(state)
    return np.stack(drawn)


def _others(final_states: Bools, count: int, rng: np.random.Generator) -> Bools:
    """Sets that contain no final state, each as likely as any other where such sets are not rare.

    Where they are, random sets lose a region of each final state they contain until they contain none.
    """
    num_regions = final_states.shape[1]
    drawn: list[Bools] = []
    for _ in range(50 * count):
        state = np.asarray(rng.random(num_regions) < 0.5)
        if not _contains(state[None], final_states)[0]:
            drawn.append(state)
            if len(drawn) == count:
                return np.stack(drawn)
    while len(drawn) < count:
        state = np.asarray(rng.random(num_regions) < 0.5)
        for final in final_states:
            if state[final].all() and final.any():
                state[rng.choice(np.flatnonzero(final))] = False
        drawn.append(state)
    return np.stack(drawn)
