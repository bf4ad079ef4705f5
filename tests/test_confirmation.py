"""What logic says, put to the model: what a formula needs, and what tells two apart."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from tiny_models import random_table, table_model

from captum_focalogic import FocaLogic
from captum_focalogic.confirmation import MAX_PRINTED, Necessity, confirm_difference, confirm_necessary, necessary
from captum_focalogic.logic import TruncatedWarning, difference
from captum_focalogic.search import Beam
from captum_focalogic.verify import masked_model_of

M = 5


def test_necessity_is_confirmed_by_the_model_not_by_the_formula() -> None:
    table = np.zeros(1 << M, dtype=bool)
    table[[i for i in range(1 << M) if i & 0b00001]] = True  # region 0 is needed ...
    table[0b11110] = True  # ... except that all the others together do as well, which no descent meets
    model, x, mask = table_model(table), torch.ones(1, M), torch.arange(M)[None]
    focus = FocaLogic(model, search=Beam(1), reading="irreducible").explain(x, target=1)[0]
    masked = masked_model_of(focus, model, x, feature_mask=mask)
    sets = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0]], dtype=bool)
    assert confirm_necessary(focus, sets, masked).tolist() == [False, True]


def test_what_is_necessary_says_which_sets_the_model_confirms() -> None:
    table = np.zeros(1 << M, dtype=bool)
    table[[i for i in range(1 << M) if i & 0b00001 and i & 0b00110]] = True  # 0 and one of 1 and 2 ...
    table[0b11110] = True  # ... or everything but 0
    model, x = table_model(table), torch.ones(1, M)
    focus = FocaLogic(model, reading="irreducible").explain(x, target=1)[0]
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
    focus = FocaLogic(model, reading="irreducible").explain(x, target=1)[0]
    found = necessary(focus, masked_model_of(focus, model, x, feature_mask=torch.arange(M)[None]))
    weights = 1 << np.arange(M)
    for removed, confirmed in zip(found.states, found.confirmed, strict=True):
        assert all((removed & state).any() for state in focus.final_states)
        assert confirmed == (not table[(~removed) @ weights])


def test_necessary_sets_beyond_the_limit_are_announced() -> None:
    table = np.zeros(1 << M, dtype=bool)
    table[[i for i in range(1 << M) if (i & 0b11).bit_count() and (i & 0b11100).bit_count()]] = True
    model, x = table_model(table), torch.ones(1, M)
    focus = FocaLogic(model, reading="irreducible").explain(x, target=1)[0]
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
    a, b = (FocaLogic(model, reading="irreducible").explain(x, target=1)[0] for model in models)
    told_apart = difference(a.expression, b.expression)
    assert told_apart is not None
    asked = [masked_model_of(focus, model, x, feature_mask=mask) for focus, model in zip((a, b), models, strict=True)]
    check = confirm_difference(a, b, told_apart, *asked)
    assert check.confirmed
    assert (check.formula_a, check.formula_b) == (True, False)


def test_only_the_smallest_sets_are_printed() -> None:
    states = np.eye(300, dtype=np.bool_)
    many = Necessity(np.arange(300), states, np.arange(300) % 2 == 0)
    lines = str(many).splitlines()
    assert len(lines) == MAX_PRINTED + 1
    assert lines[0] == "confirmed: without {0}"
    assert lines[-1] == "... and 280 larger ones, 140 of them confirmed; all are in .states"
    assert len(str(Necessity(np.arange(3), np.eye(3, dtype=np.bool_), np.ones(3, dtype=np.bool_))).splitlines()) == 3
