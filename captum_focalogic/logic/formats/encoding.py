"""Names inside formats that allow only some characters: percent signs stand for the others, as in URLs."""

from collections.abc import Iterable
from urllib.parse import quote, unquote_to_bytes

from captum_focalogic.errors import InputError
from captum_focalogic.logic.assembly import check_name

_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_%")


def encode_name(name: str, reserved: Iterable[str] = ()) -> str:
    """A name of letters, digits and ``_ . ~ - %``, beginning with a letter, underscore or percent sign."""
    encoded = quote(name, safe="")
    if encoded[0] not in _FIRST or encoded in reserved:
        return f"%{ord(encoded[0]):02X}{encoded[1:]}"
    return encoded


def decode_name(encoded: str) -> str:
    """The name that :func:`encode_name` encoded.

    Raises
    ------
    InputError
        If it is no name.
    """
    try:
        return check_name(unquote_to_bytes(encoded).decode("utf-8"))
    except UnicodeError as error:
        raise InputError(f"{encoded[:40]!r} does not encode a name") from error


def decode_names(encoded: Iterable[str]) -> dict[str, str]:
    """The names of several encoded ones.

    Raises
    ------
    InputError
        If one is no name, or two different ones stand for the same name.
    """
    names = {each: decode_name(each) for each in encoded}
    if len(set(names.values())) != len(names):
        raise InputError("two different inputs have the same name once their percent signs are decoded")
    return names
