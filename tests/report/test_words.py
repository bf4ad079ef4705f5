"""An explanation in everyday words."""

from dataclasses import replace

import numpy as np
from makers import focus_by, moody_rule, rule

from captum_focalogic.report.words import summary


def test_summaries() -> None:
    assert summary(focus_by(rule)) == (
        "2 selections of regions each carry the decision; the smallest is 2 regions and 33 % of the image. "
        "All of them keep I0."
    )
    assert "keep sky." in summary(focus_by(rule, names={0: "sky"}))
    assert summary(focus_by(lambda kept: kept[0])).startswith("One selection of regions carries the decision: 1 region")
    assert "No region is in all" in summary(focus_by(lambda kept: kept[0] or kept[7]))
    assert "stands even with every region replaced" in summary(focus_by(lambda kept: True))
    assert "does not meet the criterion" in summary(focus_by(lambda kept: False))
    unfinished = focus_by(rule)
    unfinished = replace(unfinished, final_states=np.zeros((0, 6), bool))
    assert "ended before" in summary(unfinished)
    assert len(summary(focus_by(moody_rule))) > 20
