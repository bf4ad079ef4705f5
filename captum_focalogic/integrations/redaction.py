"""Texts of others without the secrets that they quote."""

import base64
import html
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from urllib.parse import quote, quote_plus

LEAST = 8
"""Characters of a secret that are one by themselves: its beginning, its end, or any part of it."""


def without_secret(text: str, secret: str) -> str:
    """A text without a secret, or parts of it, in whatever form they are quoted.

    Escaped for JSON, addresses or HTML, in base64 or hexadecimal, any of these twice, in other case, cut, or broken by
    white space. A secret of fewer than 8 characters is none: local servers take any word for a key.
    """
    if len(secret) < LEAST:
        return text
    places = [place for place, sign in enumerate(text) if not sign.isspace()]
    dense = "".join(map(_lower, (text[place] for place in places)))
    hidden = bytearray(len(dense))
    parts, least, beginnings = _parts(secret)
    for start in range(len(dense) - least + 1):
        if dense[start : start + least] in beginnings:
            for length, texts in parts.items():
                if dense[start : start + length] in texts:
                    hidden[start : start + length] = b"\1" * length
    said, last = list[str](), -1
    for place, secretive in zip(places, hidden, strict=True):
        if not secretive:
            said.append(text[last + 1 : place + 1])
        elif said[-1:] != ["…"]:
            said += [text[last + 1 : place], "…"]
        last = place
    return "".join(said) + text[last + 1 :]


@lru_cache(maxsize=8)
def _parts(secret: str) -> tuple[dict[int, frozenset[str]], int, frozenset[str]]:
    """By length, the texts that stand for at least eight characters of a secret, or nearly so, in lower case.

    Then the least of these lengths, and what the texts begin with, as far: a text of megabytes is looked through once.
    """
    found: dict[int, set[str]] = {}
    once = {form for write in _FORMS for form in write(secret)}
    twice = {form for write in _FORMS for inner in once for form in write(inner)}
    for form in once | twice:
        dense = "".join(map(_lower, form))
        # The letters at either end of base64 depend on the neighbours.
        length = max(LEAST, LEAST * len(dense) // len(secret) - 2)
        found.setdefault(length, set()).update(
            dense[start : start + length] for start in range(max(1, len(dense) - length + 1))
        )
    least = min(found)
    beginnings = frozenset(text[:least] for texts in found.values() for text in texts)
    return {length: frozenset(texts) for length, texts in found.items()}, least, beginnings


def _lower(sign: str) -> str:
    small = sign.lower()
    return small if len(small) == 1 else sign


def _base64(text: str) -> set[str]:
    """Where it begins decides how its letters fall; those that depend on the neighbours are left out."""
    coded = {base64.b64encode(b"\0" * shift + text.encode())[(0, 2, 3)[shift] : -4].decode() for shift in range(3)}
    return coded | {form.replace("+", "-").replace("/", "_") for form in coded}


_FORMS: tuple[Callable[[str], set[str]], ...] = (
    lambda text: {text},
    lambda text: {json.dumps(text)[1:-1], json.dumps(text)[1:-1].replace("/", "\\/")},
    lambda text: {"".join(f"\\u{ord(sign):04{case}}" for sign in text) for case in "xX"},
    lambda text: {quote(text, safe=""), quote_plus(text)},
    lambda text: {"".join(f"%{ord(sign):02{case}}" for sign in text) for case in "xX"},
    lambda text: {html.escape(text), "".join(f"&#{ord(sign)};" for sign in text)},
    lambda text: {text.encode().hex(), text.encode().hex().upper(), text.encode().hex(":")},
    _base64,
    lambda text: {text[::-1]},
)
"""Ways in which a text may be written down."""


_LOGGERS = ("openai", "httpx", "httpcore")
"""Who logs the headers of a reply, in which an endpoint may send the key back."""


@contextmanager
def quiet_logs(hidden: Callable[[str], str]) -> Iterator[None]:
    """Take secrets out of what the client logs, for as long as it asks."""

    def clean(record: logging.LogRecord) -> bool:
        record.msg, record.args = hidden(record.getMessage()), ()
        return True

    # Names of modules, and of their successors ("httpcore2.http11"); a logger's filters are not its children's.
    known = list(logging.root.manager.loggerDict)
    loggers = [logging.getLogger(name) for name in known if name.startswith(_LOGGERS)]
    for logger in loggers:
        logger.addFilter(clean)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(clean)
