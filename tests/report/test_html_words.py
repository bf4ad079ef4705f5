"""Words: they say what the certificate says, and no more."""

from dataclasses import replace

import numpy as np
import pytest
from makers import focus_by, moody_rule, rule

from captum_focalogic.report.html_words import certificate_words, percent, summary
from captum_focalogic.search import Certificate

CERTIFICATE = Certificate(
    strategy="Chains()",
    reading="irreducible",
    num_regions=10,
    evaluations=100,
    batches=3,
    irreducible=True,
    complete="yes",
    reached=True,
)


def said(**changes: object) -> dict[str, str]:
    """Standing by text."""
    return {s.text: s.standing for s in certificate_words(replace(CERTIFICATE, **changes))}  # type: ignore[arg-type]


def one(statements: dict[str, str], part: str) -> str:
    """The standing of the one statement that says this."""
    (standing,) = [standing for text, standing in statements.items() if part in text]
    return standing


def test_how_many_were_asked() -> None:
    assert one(said(), "100 different selections of regions, 9.8 % of the 1,024") == "certain"
    assert one(said(evaluations=1024), "every one of the 1,024") == "certain"
    assert one(said(num_regions=200), "less than 0.1 % of the 2^200") == "certain"


@pytest.mark.parametrize(
    ("changes", "part", "standing"),
    [
        ({"complete": "yes"}, "None is missing: there is no other", "certain"),
        ({"complete": "if monotone"}, "None is missing provided that", "limited"),
        ({"complete": "bound", "unseen_bound": 0.05}, "at most 5 %", "limited"),
        ({"complete": "no", "complete_up_to": 1}, "No final state of up to 1 region is missing", "limited"),
        ({"complete": "no"}, "Some may be missing: the search did not look everywhere", "open"),
        ({"irreducible": True}, "Nothing to spare", "certain"),
        ({"irreducible": False}, "was not checked for all of them", "open"),
        ({"reached": True}, "Each was reached", "certain"),
        ({"reached": False}, "one region at a time was not checked", "open"),
        ({"violations": 3}, "3 time(s) a selection kept", "limited"),
        ({"violations": 0}, "observed, not proved", "limited"),
        ({"violations": 0, "evaluations": 1024}, "never makes it lose", "certain"),
        ({"stopped": "time_limit"}, "its time was up", "limited"),
        ({"derived": "by absorption"}, "by absorption", "limited"),
    ],
)
def test_each_claim(changes: dict, part: str, standing: str) -> None:
    assert one(said(**changes), part) == standing


def test_without_states_nothing_is_said_about_them() -> None:
    texts = " ".join(statement.text for statement in certificate_words(CERTIFICATE, any_states=False))
    assert "Nothing to spare" not in texts
    assert "was reached" not in texts


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.0004, "less than 0.1 %"), (0.0123, "1.2 %"), (0.5, "50 %"), (0.994, "99 %"), (1, "100 %")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_summaries() -> None:
    assert summary(focus_by(rule)) == (
        "2 selections of regions each carry the decision; the smallest is 2 regions and 33 % of the image. "
        "All of them need I0."
    )
    assert "need sky." in summary(focus_by(rule, names={0: "sky"}))
    assert summary(focus_by(lambda kept: kept[0])).startswith("One selection of regions carries the decision: 1 region")
    assert "No region is in all" in summary(focus_by(lambda kept: kept[0] or kept[7]))
    assert "stands even with every region replaced" in summary(focus_by(lambda kept: True))
    assert "does not meet the criterion" in summary(focus_by(lambda kept: False))
    unfinished = focus_by(rule)
    unfinished = replace(unfinished, final_states=np.zeros((0, 6), bool))
    assert "ended before" in summary(unfinished)
    assert len(summary(focus_by(moody_rule))) > 20
