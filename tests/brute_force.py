"""Final states by asking the model about every region set, one image at a time, in plain loops."""

from collections.abc import Callable, Iterable
from itertools import combinations

import torch
from torch import Tensor

Sets = set[frozenset[int]]


def all_sets(regions: Iterable[int]) -> list[frozenset[int]]:
    """Every set of regions, by size."""
    regions = sorted(regions)
    return [frozenset(chosen) for size in range(len(regions) + 1) for chosen in combinations(regions, size)]


def masked(x: Tensor, mask: Tensor, baseline: Tensor, kept: Iterable[int]) -> Tensor:
    """One example without batch dimension, with everything outside the kept regions replaced."""
    shown = baseline.expand_as(x).clone()
    for region in kept:
        inside = (mask == region).expand_as(x)
        shown[inside] = x[inside]
    return shown


def valid_sets(
    model: Callable[[Tensor], Tensor], x: Tensor, mask: Tensor, baseline: Tensor, target: int | None = None
) -> Sets:
    """The region sets that the model puts into the class of the whole example (or into ``target``)."""
    with torch.no_grad():
        if target is None:
            target = int(model(x[None]).argmax())
        regions = mask.unique().tolist()
        return {
            kept for kept in all_sets(regions) if int(model(masked(x, mask, baseline, kept)[None]).argmax()) == target
        }


def irreducible(valid: Sets, regions: Iterable[int]) -> Sets:
    """Level by level from all regions, as in section 3.2 of the paper."""
    level = {frozenset(regions)} & valid
    final: Sets = set()
    while level:
        following: Sets = set()
        for state in level:
            children = {state - {region} for region in state} & valid
            following |= children
            if not children:
                final.add(state)
        level = following
    return final


def minimal(valid: Sets, regions: Iterable[int]) -> Sets:
    """Valid sets without a valid proper subset; none if all regions together are not valid."""
    if frozenset(regions) not in valid:
        return set()
    return {state for state in valid if not any(other < state for other in valid)}


def smallest(valid: Sets, regions: Iterable[int]) -> Sets:
    """Valid sets of least cardinality; none if all regions together are not valid."""
    if frozenset(regions) not in valid:
        return set()
    return {state for state in valid if len(state) == min(map(len, valid))}
