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


def in_base64(text):
    return base64.b64encode(text.encode()).decode()


def in_unicode(text):
    return "".join(f"\\u{ord(sign):04X}" for sign in text)


def in_percent(text):
    return "".join(f"%{ord(sign):02X}" for sign in text)


WAYS = [str, in_base64, in_unicode, in_percent, lambda text: quote(text, safe=""), lambda text: text.encode().hex()]


@pytest.mark.parametrize("outer", WAYS)
@pytest.mark.parametrize("inner", WAYS)
@pytest.mark.parametrize(
    "part", [SECRET, SECRET[:14], SECRET[-14:], SECRET[5:19]], ids=["whole", "start", "end", "part"]
)
def test_parts_and_forms_of_forms(outer, inner, part):
    hidden = without_secret(f"the key: {outer(inner(part))}.", SECRET)
    assert hidden.startswith("the key: ")
    said = len(hidden) - len("the key: .")
    # What is left at the ends stands for less than eight characters of the secret.
    assert said < 8 * len(outer(inner(part))) / len(part), hidden


@pytest.mark.parametrize("length", range(8, len(SECRET)))
def test_beginnings(length):
    assert without_secret(f"key {SECRET[:length]}", SECRET) == "key …"
    assert without_secret(f"key {SECRET[:length]}*** is wrong", SECRET) == "key …*** is wrong"


def test_what_is_no_secret_stays():
    text = '  The model `gpt-4o` does not exist,\n or you have\tno access: {"code": "model_not_found"} İSK-\u2028ß  '
    assert without_secret(text, SECRET) == text
    assert without_secret("", SECRET) == ""
    assert without_secret(f" {SECRET} a {SECRET[:7]} b\n", SECRET) == f" … a {SECRET[:7]} b\n"


def test_long_texts_are_read_in_one_go():
    text = "abcdefgh" * 20_000
    assert without_secret(text + SECRET, SECRET) == f"{text}…"


def test_short_words_are_no_secrets():
    assert without_secret("none of the cats", "none") == "none of the cats"
