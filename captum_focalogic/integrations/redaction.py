"""Texts of others without the secrets that they quote."""

import base64
import html
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote


def without_secret(text: str, secret: str) -> str:
    """A text without a secret, in whatever form it is quoted: escaped, in base64 or hexadecimal, broken by white space.

    One of fewer than 8 characters is no secret: local servers take any word for a key.
    """
    if len(secret) < 8:
        return text
    plain = secret.encode()
    # Where base64 begins decides how its letters fall; those that depend on the neighbours are left out.
    coded = {base64.b64encode(b"\0" * shift + plain)[(0, 2, 3)[shift] : -4].decode() for shift in range(3)}
    forms = {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), html.escape(secret), plain.hex(), *coded}
    forms |= {form.replace("+", "-").replace("/", "_") for form in coded}
    for form in sorted(forms, key=len, reverse=True):
        text = re.sub(r"\s*".join(map(re.escape, form)), "…", text, flags=re.IGNORECASE)
    return text


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
