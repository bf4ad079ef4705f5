"""The examples of the documentation run, and what they claim in comments is so."""

import re

import numpy as np
import pages


def test_what_its_examples_make():
    page = "docs/logic.md"
    ran = pages.run(page)
    scope, shown = ran.scope, "".join(ran.printed.values())
    for claim in re.findall(r"^print\(.*\) +# (.*)$", (pages.ROOT / page).read_text(encoding="utf-8"), re.MULTILINE):
        assert claim in shown
    assert scope["difference"](scope["before"], scope["after"]) == {1, 2, 3, 6}
    assert scope["count_models"](scope["states"]) == 38
    assert scope["model_share"](scope["states"]) == 0.296875
    np.testing.assert_allclose(
        scope["shapley_values"](scope["states"]), [0, 0.567, 0.067, 0.067, 0.267, 0.017, 0.017], atol=5e-4
    )
    necessary = [set(np.flatnonzero(row).tolist()) for row in scope["necessary_states"](scope["states"])]
    assert necessary == [{1}, {2, 4}, {3, 4}, {4, 5, 6}]
    assert [scope[name].formula for name in ("old", "new")] == ["I1 & (I3 | I4)", "I1 & I4"]
    assert scope["shown"].check.confirmed
    assert scope["found"].region_sets() == [{1}, {3, 4}]
