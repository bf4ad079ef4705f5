"""Certificates: the words, which say what was checked and no more, and JSON."""

import json
from dataclasses import replace

import pytest

from captum_focalogic.errors import InputError
from captum_focalogic.search import Certificate
from captum_focalogic.search.certificate import percent

PLAIN = {
    "strategy": "Exhaustive()",
    "reading": "irreducible",
    "num_regions": 10,
    "evaluations": 512,
    "batches": 11,
    "irreducible": True,
    "complete": "yes",
}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "50 % of the 2^10 region sets"),
        ({"num_regions": 50_000}, "less than 0.001 %"),
        ({}, "Complete: yes, no final state is missing, on any deterministic model."),
        ({"complete": "if monotone"}, "yes if adding a region never invalidates"),
        ({"complete": "bound", "unseen_bound": 0.0412}, "with probability at most 0.0412"),
        ({"complete": "no", "complete_up_to": 3}, "up to 3 region(s), on any deterministic model"),
        ({"complete": "no"}, "Complete: no, final states may be missing."),
        ({"irreducible": False}, "Irreducible: not checked"),
        ({"reached": True}, "Reached: each by dropping single regions"),
        ({}, "Reached: not checked"),
        ({"violations": 1234}, "Not monotone: 1,234 pair(s)"),
        ({"stopped": "memory"}, "Stopped early: the frontier would not have fitted in memory."),
        ({"reading": "minimal"}, "Reading: minimal (each keeps the prediction and no smaller part of it does)."),
        (
            {"reading": "minimal", "derived": "from 5 irreducible states"},
            "Reading: minimal (from 5 irreducible states).",
        ),
    ],
)
def test_words(fields, words):
    certificate = Certificate(**{**PLAIN, **fields})
    assert words in str(certificate)
    assert Certificate.from_dict(json.loads(json.dumps(certificate.to_dict()))) == certificate


def test_reaching_is_not_spoken_of_where_the_reading_does_not_ask_for_it():
    assert "Reached" not in str(Certificate(**{**PLAIN, "reading": "minimal"}))


@pytest.mark.parametrize(
    "fields",
    [
        {"strategy": 3},
        {"reading": "least"},
        {"num_regions": -1},
        {"evaluations": 1.5},
        {"batches": True},
        {"irreducible": "yes"},
        {"complete": "maybe"},
        {"complete_up_to": -2},
        {"unseen_bound": 1.5},
        {"reached": 1},
        {"violations": None},
        {"stopped": "tired"},
        {"derived": 7},
        {"num_states": -1},
        {"unfinished": None},
        {"least": 2.0},
        {"unheard": 1},
    ],
)
def test_fields_that_cannot_be(fields):
    with pytest.raises(InputError, match=next(iter(fields))):
        Certificate.from_dict({**PLAIN, **fields})


def test_missing_fields_and_other_things():
    with pytest.raises(InputError, match="missing: \\['complete', 'reading'\\]"):
        Certificate.from_dict({name: PLAIN[name] for name in PLAIN if name not in ("reading", "complete")})
    with pytest.raises(InputError, match="list"):
        Certificate.from_dict([])


@pytest.mark.parametrize(
    ("fields", "law"),
    [
        ({"complete": "bound"}, "needs unseen_bound"),
        ({"complete_up_to": 11}, "complete_up_to is at most"),
        ({"evaluations": 1025}, "asked once"),
        ({"batches": 513}, "at least one state"),
        ({"violations": 65_537}, "pairs of states"),
        ({"num_states": 513, "irreducible": False}, "among the states asked"),
        ({"num_states": 3, "unfinished": 4, "irreducible": False}, "among the final ones"),
        ({"num_states": 3, "unfinished": 1}, "no state is unfinished"),
        ({"num_states": 3, "least": 11}, "least is at most"),
        ({"num_states": 0, "least": 2}, "size of some final state"),
        ({"evaluations": 11, "num_states": 3, "least": 9}, "every single deletion"),
    ],
)
def test_fields_that_contradict_each_other(fields, law):
    with pytest.raises(InputError, match=law):
        Certificate.from_dict({**PLAIN, **fields})


@pytest.mark.parametrize(
    ("fields", "smallest", "kind"),
    [
        ({}, None, "smallest"),
        ({"least": 3, "complete_up_to": -1}, "open", "irreducible"),
        ({"least": 3, "complete_up_to": 1}, "open", "irreducible"),
        ({"least": 3, "complete_up_to": 2}, "size", "smallest"),
        ({"least": 3, "complete_up_to": 3}, "all", "smallest"),
        ({"least": 0, "complete_up_to": 0}, "all", "smallest"),
        ({"num_states": 0, "complete_up_to": 4}, None, "smallest"),
        ({"reading": "minimal", "least": 3, "complete_up_to": 1}, "open", "minimal"),
        ({"least": 3, "complete_up_to": 1, "num_states": 2, "unfinished": 1}, "open", "irreducible"),
        ({"least": 3, "complete_up_to": 1, "num_states": 1, "unfinished": 1}, "open", "unfinished"),
    ],
)
def test_what_is_known_of_the_smallest(fields, smallest, kind):
    certificate = Certificate(**{**PLAIN, "reading": "smallest", "complete": "no", **fields})
    assert (certificate.smallest, certificate.kind) == (smallest, kind)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"complete_up_to": 1},
            [
                "Reading: irreducible, found on the way to the smallest (each keeps",
                "Complete: no, open; the smallest valid set has between 2 and 3 region(s), on any deterministic model.",
            ],
        ),
        ({"complete_up_to": 2}, ["Complete: the size; no set of fewer than 3 region(s) is valid, on any det"]),
        (
            {"complete_up_to": 1, "irreducible": False, "unfinished": 1},
            ["not checked for 1 unfinished state(s), which may have regions to spare; checked for the others."],
        ),
        (
            {"complete_up_to": 1, "irreducible": False, "unfinished": 2},
            ["Reading: smallest, unfinished (each keeps", "not checked for 2 unfinished state(s), which may have regi"],
        ),
    ],
)
def test_words_about_the_smallest(fields, words):
    certificate = Certificate(
        **{**PLAIN, "reading": "smallest", "complete": "no", "num_states": 2, "least": 3, **fields}
    )
    for part in words:
        assert part in str(certificate)
    assert Certificate.from_dict(json.loads(json.dumps(certificate.to_dict()))) == certificate


def test_nothing_is_said_about_states_that_are_not_there():
    certificate = Certificate(**{**PLAIN, "num_states": 0, "reached": True})
    assert certificate.sentences()[1:] == [
        "Reading: irreducible.",
        "Complete: yes, the whole image does not keep the prediction, so by definition there is no final state.",
    ]
    plain = " ".join(statement.text for statement in certificate.plain())
    assert "Nothing to spare" not in plain
    assert "was reached" not in plain
    assert "There is none" in plain
    ended = replace(certificate, complete="no", stopped="time_limit")
    assert ended.sentences()[2:] == [
        "Complete: no, final states may be missing.",
        "Stopped early: the time limit was reached.",
    ]


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
    return {s.text: s.standing for s in replace(CERTIFICATE, **changes).plain()}


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
        ({"irreducible": False, "num_states": 2, "unfinished": 2}, "What was found is unfinished", "open"),
        ({"irreducible": False, "num_states": 2, "unfinished": 1}, "1 of those found: unfinished", "open"),
        (
            {"reading": "smallest", "complete": "no", "complete_up_to": 1, "least": 4},
            "Smaller ones may exist: the smallest needs between 2 and 4 regions",
            "open",
        ),
        (
            {"reading": "smallest", "complete": "no", "complete_up_to": 3, "least": 4},
            "Fewer than 4 regions are never enough. Others of this size may be missing",
            "limited",
        ),
    ],
)
def test_each_claim_in_everyday_words(changes: dict, part: str, standing: str) -> None:
    assert one(said(**changes), part) == standing


@pytest.mark.parametrize("evaluations", [512, 1024])
def test_what_the_search_asked_is_not_said_to_be_all_that_was_asked(evaluations: int) -> None:
    """Critical sets and trust ask besides, and may have heard of larger sets that lose what smaller ones keep."""
    said = [statement.text for statement in Certificate(**{**PLAIN, "evaluations": evaluations}).plain()]
    counted = [text for text in said if "selection" in text and "asked" in text]
    assert counted
    assert all("search asked" in text for text in counted)


def test_without_states_nothing_is_said_about_them() -> None:
    texts = " ".join(statement.text for statement in replace(CERTIFICATE, num_states=0).plain())
    assert "Nothing to spare" not in texts
    assert "was reached" not in texts


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.0004, "less than 0.1 %"), (0.0123, "1.2 %"), (0.5, "50 %"), (0.994, "99 %"), (1, "100 %")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text
