"""Secrets in texts of others, in every form that these may have."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as some

from captum_focalogic.integrations.redaction import without_secret

SECRET = "sk-Very/Secret+0123456789"


@given(before=some.binary(max_size=6), after=some.binary(max_size=6))
def test_base64_at_every_place(before, after):
    text = base64.b64encode(before + SECRET.encode() + after).decode()
    hidden = without_secret(text, SECRET)
    # What is left holds less than four letters of the secret at either end.
    assert len(text) - len(hidden) >= len(SECRET) * 4 // 3 - 5


FORMS = [SECRET, SECRET.upper(), json.dumps(SECRET), quote(SECRET, safe=""), SECRET.encode().hex(), " ".join(SECRET)]


@pytest.mark.parametrize("form", FORMS)
def test_other_forms(form):
    hidden = without_secret(f"before {form} after", SECRET)
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")
    assert "ecret" not in hidden.lower()
    assert "…" in hidden


def test_short_words_are_no_secrets():
    assert without_secret("none of the cats", "none") == "none of the cats"
