"""Settings of strategies that cannot be meant are refused at once."""

import numpy as np
import pytest

from captum_focalogic.errors import InputError
from captum_focalogic.search import Ascending, Beam, Chains, Exhaustive, Frugal


@pytest.mark.parametrize(
    ("strategy", "setting", "values"),
    [
        (Chains, "max_unseen", [0, 1, -0.1, float("nan"), "0.1", None]),
        (Frugal, "max_unseen", [0, 1, float("nan"), "0.1"]),
        (Chains, "seed", [-1, 0.5, None]),
        (Frugal, "seed", [-1, "1"]),
        (Chains, "width", [0, True]),
        (Beam, "width", [0, 2.5, True, "5"]),
        (Exhaustive, "max_frontier", [0, 1e6]),
        (Ascending, "max_size", [-1, 2.0, False]),
    ],
)
def test_refused(strategy, setting, values):
    for value in values:
        with pytest.raises(InputError, match=setting) as raised:
            strategy(**{setting: value})
        assert repr(value) in str(raised.value)


def test_numbers_of_numpy_are_taken():
    assert Beam(np.int64(3)).width == 3
    assert Chains(np.float32(0.5), seed=np.uint8(2)).seed == 2
    assert Ascending(max_size=np.int32(0)).max_size == 0
