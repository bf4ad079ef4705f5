"""Certificates: the words, and JSON."""

import json

import pytest

from captum_focalogic.errors import InputError
from captum_focalogic.search import Certificate

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
        ({}, "Complete: yes, no final state is missing, whatever the model."),
        ({"complete": "if monotone"}, "yes if adding a region never invalidates"),
        ({"complete": "bound", "unseen_bound": 0.0412}, "with probability at most 0.0412"),
        ({"complete": "no", "complete_up_to": 3}, "up to 3 region(s), whatever the model"),
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
