"""An explanation in everyday words."""

from dataclasses import replace

import numpy as np
from makers import focus_by, moody_rule, rule

from captum_focalogic.report.words import summary
from captum_focalogic.search.certificate import percent


def test_summaries() -> None:
    assert summary(focus_by(rule)) == (
        "2 selections of regions each carry the decision; the strongest is 2 regions and 33 % of the image. "
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


def test_a_single_selection_is_not_said_to_be_the_only_one_where_others_may_exist() -> None:
    focus = focus_by(lambda kept: kept[0])
    open_one = replace(focus, certificate=replace(focus.certificate, complete="no"))
    assert summary(open_one).startswith("One selection of regions was found that carries the decision: 1 region")


def test_the_strongest_is_that_of_the_headline() -> None:
    found = replace(focus_by(lambda kept: kept[0] or kept[7]), areas=np.arange(1, 7) / 21)
    said = set()
    for likely in ([0.9, 0.6], [0.6, 0.9]):
        kept = found.evaluated.states[:, None] == found.final_states
        probability = np.select(kept.all(axis=2).T, likely, 0.0).astype(np.float32)
        ranked = replace(found, evaluated=replace(found.evaluated, probability=probability))
        strongest = ranked.final_states[ranked.strongest[0]]
        assert (strongest == found.final_states[np.argmax(likely)]).all()
        share = f"{percent(float(ranked.areas[strongest].sum()))} of the image"
        assert f"the strongest is 1 region and {share}" in summary(ranked)
        said.add(share)
    assert len(said) == 2
