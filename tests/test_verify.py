"""Claims of a focus against honest models, liars, and tampering."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import Tensor

from captum_focalogic import FocaLogic
from captum_focalogic.errors import InputError
from captum_focalogic.logic import TruncatedWarning, difference
from captum_focalogic.search import Ascending, Beam
from captum_focalogic.verify import confirm_difference, confirm_necessary, masked_model_of, necessary, verify

M = 5


def table_model(table: np.ndarray):
    """Two classes; class 1 wins exactly for the region sets (bit j = feature j kept) where the table says so."""
    values = torch.from_numpy(table)

    def forward(x: Tensor) -> Tensor:
        index = (x > 0.5).long() @ (1 << torch.arange(x.shape[1]))
        won = values[index].float()
        return torch.stack([1 - won, won], dim=1)

    return forward


def random_table(seed: int, share: float = 0.6) -> np.ndarray:
    table = np.random.default_rng(seed).random(1 << M) < share
    table[-1] = True
    return table


@settings(max_examples=30, deadline=None)
@given(seed=some.integers(0, 10_000), reading=some.sampled_from(["irreducible", "minimal", "smallest"]))
def test_honest_models_pass(seed: int, reading: str) -> None:
    model, x = table_model(random_table(seed)), torch.ones(1, M)
    focus = FocaLogic(model, reading=reading).explain(x, target=1)[0]
    checked = verify(focus, model, x, feature_mask=torch.arange(M)[None])
    assert checked.holds, str(checked)
    assert all(claim.holds for claim in checked.claims), "every claim of these searches can be checked"


def test_a_liar_is_found() -> None:
    generator = torch.Generator().manual_seed(3)
    honest = table_model(random_table(1))

    def liar(x: Tensor) -> Tensor:
        answer = honest(x)
        flip = torch.rand(len(x), generator=generator) < 0.3
        return torch.where(flip[:, None], answer.flip(1), answer)

    found = 0
    for _ in range(20):
        focus = FocaLogic(honest).explain(torch.ones(1, M), target=1)[0]
        found += not verify(focus, liar, torch.ones(1, M), target=1, feature_mask=torch.arange(M)[None]).holds
    assert found == 20


def test_each_claim_fails_for_its_own_reason() -> None:
    table = np.zeros(1 << M, dtype=bool)
    table[[i for i in range(1 << M) if i & 0b011 == 0b011 or i & 0b100]] = True  # {0, 1} or {2}
    model, x, mask = table_model(table), torch.ones(1, M), torch.arange(M)[None]
    focus = FocaLogic(model).explain(x, target=1)[0]
    assert focus.region_sets() == [{2}, {0, 1}]

    def failing(tampered: object) -> list[int]:
        claims = verify(tampered, model, x, feature_mask=mask).claims
        return [place for place, claim in enumerate(claims) if claim.holds is False]

    assert failing(focus) == []
    too_small = replace(focus, final_states=np.array([[0, 0, 1, 0, 0], [1, 0, 0, 0, 0]], dtype=bool))
    assert failing(too_small) == [0, 3, 6]
    too_large = replace(focus, final_states=np.array([[0, 0, 1, 0, 0], [1, 1, 0, 1, 0]], dtype=bool))
    assert failing(too_large) == [1, 3]
    one_missing = replace(focus, final_states=focus.final_states[:1])
    assert failing(one_missing) == [3]
    other_verdicts = replace(focus.evaluated, valid=~focus.evaluated.valid)
    assert failing(replace(focus, evaluated=other_verdicts)) == [2, 3, 5, 6]
    fewer_asked = replace(focus.evaluated, packed=focus.evaluated.packed[:3], valid=focus.evaluated.valid[:3], total=3)
    assert failing(replace(focus, evaluated=fewer_asked)) == [3, 4, 6]
    certificate = focus.certificate
    assert failing(replace(focus, certificate=replace(certificate, evaluations=7))) == [4]
    assert failing(replace(focus, certificate=replace(certificate, violations=7))) == [5]


def test_states_that_no_valid_deletions_lead_to_are_not_called_reached() -> None:
    table = np.zeros(1 << M, dtype=bool)
    table[[0b11111, 0b00001]] = True
    model, x, mask = table_model(table), torch.ones(1, M), torch.arange(M)[None]
    focus = FocaLogic(model, search=Beam(1)).explain(x, target=1)[0]
    assert verify(focus, model, x, feature_mask=mask).claims[-1].holds
    elsewhere = replace(focus, final_states=np.array([[1, 0, 0, 0, 0]], dtype=bool))
    assert verify(elsewhere, model, x, feature_mask=mask).claims[-1].holds is False


def test_what_is_not_claimed_is_not_checked() -> None:
    model, x = table_model(random_table(5)), torch.ones(1, M)
    focus = FocaLogic(model, search=Beam(1)).explain(x, target=1)[0]
    checked = verify(focus, model, x, feature_mask=torch.arange(M)[None])
    assert checked.holds
    assert checked.claims[3].holds is None
    assert "not checked" in str(checked)


def test_ascending_up_to_a_size() -> None:
    model, x = table_model(random_table(8, share=0.2)), torch.ones(1, M)
    focus = FocaLogic(model, search=Ascending(max_size=2), reading="minimal").explain(x, target=1)[0]
    assert verify(focus, model, x, feature_mask=torch.arange(M)[None]).holds


def test_another_partition_is_refused() -> None:
    model, x = table_model(random_table(1)), torch.ones(1, M)
    focus = FocaLogic(model).explain(x, target=1)[0]
    with pytest.raises(InputError, match="regions"):
        verify(focus, model, x, feature_mask=torch.zeros(1, M, dtype=torch.long))
    with pytest.raises(InputError, match="feature_mask"):
        verify(focus, model, x)
    with pytest.raises(InputError, match="one example"):
        verify(focus, model, torch.ones(2, M), feature_mask=torch.arange(M)[None])


def test_necessity_is_confirmed_by_the_model_not_by_the_formula() -> None:
    table = np.zeros(1 << M, dtype=bool)
    table[[i for i in range(1 << M) if i & 0b00001]] = True  # region 0 is needed ...
    table[0b11110] = True  # ... except that all the others together do as well, which no descent meets
    model, x, mask = table_model(table), torch.ones(1, M), torch.arange(M)[None]
    focus = FocaLogic(model, search=Beam(1)).explain(x, target=1)[0]
    masked = masked_model_of(focus, model, x, feature_mask=mask)
    sets = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0]], dtype=bool)
    assert confirm_necessary(focus, sets, masked).tolist() == [False, True]


def test_what_is_necessary_says_which_sets_the_model_confirms() -> None:
    table = np.zeros(1 << M, dtype=bool)
    table[[i for i in range(1 << M) if i & 0b00001 and i & 0b00110]] = True  # 0 and one of 1 and 2 ...
    table[0b11110] = True  # ... or everything but 0
    model, x = table_model(table), torch.ones(1, M)
    focus = FocaLogic(model).explain(x, target=1)[0]
    assert focus.region_sets() == [{0, 1}, {0, 2}, {1, 2, 3, 4}]
    masked = masked_model_of(focus, model, x, feature_mask=torch.arange(M)[None])
    found = necessary(focus, masked)
    columns = [set(np.flatnonzero(state).tolist()) for state in found.states]
    assert columns == [{0, 1}, {0, 2}, {0, 3}, {0, 4}, {1, 2}]
    assert found.confirmed.all()
    assert found.region_sets() == columns
    blind = replace(focus, final_states=focus.final_states[:2])
    found = necessary(blind, masked)
    assert [set(np.flatnonzero(state).tolist()) for state in found.states] == [{0}, {1, 2}]
    assert found.confirmed.tolist() == [False, True]
    assert found.region_sets() == [{1, 2}]
    assert str(found) == "NOT confirmed: without {0}\nconfirmed: without {1, 2}"


@settings(max_examples=25, deadline=None)
@given(seed=some.integers(0, 10_000))
def test_necessary_sets_are_confirmed_exactly_where_the_model_fails_without_them(seed: int) -> None:
    table = random_table(seed)
    model, x = table_model(table), torch.ones(1, M)
    focus = FocaLogic(model).explain(x, target=1)[0]
    found = necessary(focus, masked_model_of(focus, model, x, feature_mask=torch.arange(M)[None]))
    weights = 1 << np.arange(M)
    for removed, confirmed in zip(found.states, found.confirmed, strict=True):
        assert all((removed & state).any() for state in focus.final_states)
        assert confirmed == (not table[(~removed) @ weights])


def test_necessary_sets_beyond_the_limit_are_announced() -> None:
    table = np.zeros(1 << M, dtype=bool)
    table[[i for i in range(1 << M) if (i & 0b11).bit_count() and (i & 0b11100).bit_count()]] = True
    model, x = table_model(table), torch.ones(1, M)
    focus = FocaLogic(model).explain(x, target=1)[0]
    masked = masked_model_of(focus, model, x, feature_mask=torch.arange(M)[None])
    assert [state.sum() for state in necessary(focus, masked).states] == [2, 3]
    with pytest.warns(TruncatedWarning):
        assert len(necessary(focus, masked, limit=1)) == 1


def test_a_difference_is_put_to_both_models() -> None:
    tables = [np.zeros(1 << M, dtype=bool) for _ in range(2)]
    for i in range(1 << M):
        tables[0][i] = bool(i & 1)
        tables[1][i] = bool(i & 1 and i & 2)
    models = [table_model(table) for table in tables]
    x, mask = torch.ones(1, M), torch.arange(M)[None]
    a, b = (FocaLogic(model).explain(x, target=1)[0] for model in models)
    told_apart = difference(a.expression, b.expression)
    assert told_apart is not None
    asked = [masked_model_of(focus, model, x, feature_mask=mask) for focus, model in zip((a, b), models, strict=True)]
    check = confirm_difference(a, b, told_apart, *asked)
    assert check.confirmed
    assert (check.formula_a, check.formula_b) == (True, False)
