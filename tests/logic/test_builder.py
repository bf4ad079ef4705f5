"""Expressions from descriptions that nobody vouches for: names are checked, sizes bounded, names encoded plainly."""

import string

import pytest
from hypothesis import given, settings
from oracles import PRINTABLE
from sympy import And, Not, Symbol, true

from captum_focalogic.errors import InputError
from captum_focalogic.logic import builder
from captum_focalogic.logic.builder import combine, constant_piece, decode_name, decode_names, encode_name, region_piece


@given(PRINTABLE)
@settings(max_examples=200, deadline=None)
def test_encoded_names_are_plain_and_come_back(name):
    encoded = encode_name(name, {"and"})
    assert set(encoded) <= set(string.ascii_letters + string.digits + "_.-~%")
    assert encoded[0] in string.ascii_letters + "_%"
    assert decode_name(encoded) == name


def test_pieces_know_their_depth_and_their_literals():
    a, b = region_piece("I1"), region_piece("I2")
    whole = combine("and", [a, combine("not", [b])])
    assert whole == (And(Symbol("I1"), Not(Symbol("I2"))), 2, 2)
    assert combine("or", [whole]) == whole
    assert constant_piece(True) == (true, 0, 0)


@pytest.mark.parametrize(
    ("operator", "count", "message"),
    [
        ("maybe", 2, "no operator 'maybe'"),
        ("not", 2, "not takes 1 parts; got 2"),
        ("and", 0, "at least 1 parts; got 0"),
    ],
)
def test_operators_that_do_not_fit(operator, count, message):
    with pytest.raises(InputError, match=message):
        combine(operator, [region_piece(f"I{i}") for i in range(count)])


def test_size_is_bounded(monkeypatch):
    monkeypatch.setattr(builder, "MAX_LITERALS", 3)
    monkeypatch.setattr(builder, "MAX_DEPTH", 2)
    pair = combine("and", [region_piece("I1"), region_piece("I2")])
    with pytest.raises(InputError, match="more than 3 times"):
        combine("or", [pair, pair])
    with pytest.raises(InputError, match="more than 2 levels"):
        combine("not", [combine("xor", [pair, region_piece("I3")])])


def test_two_spellings_of_one_name_are_refused():
    assert decode_names(["a", "%62"]) == {"a": "a", "%62": "b"}
    with pytest.raises(InputError, match="same name"):
        decode_names(["b", "%62"])
    with pytest.raises(InputError, match="does not encode a name"):
        decode_name("%FF")
