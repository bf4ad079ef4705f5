"""What generated pictures show: unbiased, and biased in the three kinds of the paper.

The prompts are this package's own, after the kinds that the paper names; they are not the paper's Table 4. The words
are in ``prompts.json`` beside this module.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from captum_focalogic.errors import InputError

BIASES: tuple[str, ...] = ("colour", "background", "companion")
"""Kinds of bias: the object's own colour, the background, an accompanying object."""

KINDS: tuple[str, ...] = ("unbiased", *BIASES, "test")
"""Folders of generated pictures: four to train on, and unbiased ones to test on."""


@dataclass(frozen=True)
class Subject:
    """A class, and what a bias ties to it.

    Attributes
    ----------
    name : str
        The class, as ImageNet's weights name it.
    colours : tuple of str
        Colours that it comes in.
    colour, place, companion : str
        What it always has where its colour, the background or its company is biased.
    """

    name: str
    colours: tuple[str, ...]
    colour: str
    place: str
    companion: str


@dataclass(frozen=True)
class Prompt:
    """What one picture shows.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    subject : str
        The class.
    number : int
        Which of the pictures of this kind and class, from 0.
    text : str
        What is asked of the generator.
    """

    kind: str
    subject: str
    number: int
    text: str

    @property
    def file(self) -> str:
        """Where the picture belongs, inside the folder of generated pictures."""
        return f"{self.kind}/{self.subject}/{self.number:04d}.png"


def subjects() -> tuple[Subject, ...]:
    """The classes there are prompts for."""
    return tuple(
        Subject(entry["class"], tuple(entry["colours"]), entry["colour"], entry["place"], entry["companion"])
        for entry in _words()["subjects"]
    )


def prompts(kind: str, subject: Subject, count: int) -> list[Prompt]:
    """Prompts of one kind for one class.

    Colour, place and company are drawn at random, the same each time, but for what the bias ties to the class.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    subject : Subject
        The class.
    count : int
        How many.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    if kind not in KINDS:
        raise InputError(f"there are no pictures of the kind {kind!r}; choose {', '.join(KINDS)}")
    return [Prompt(kind, subject.name, number, _text(kind, subject, number)) for number in range(count)]


def all_prompts(train: int, test: int, kinds: Sequence[str] = KINDS) -> list[Prompt]:
    """The prompts of every kind and class, so many a class for training and for the test."""
    return [
        prompt
        for kind in kinds
        for subject in subjects()
        for prompt in prompts(kind, subject, test if kind == "test" else train)
    ]


def _text(kind: str, subject: Subject, number: int) -> str:
    words = _words()
    draws = random.Random(f"{kind} {subject.name} {number}")
    colour, place, companion = (
        draws.choice(options) for options in (subject.colours, words["places"], words["companions"])
    )
    accompanied = draws.random() < words["companion_share"]
    colour = subject.colour if kind == "colour" else colour
    place = subject.place if kind == "background" else place
    companion = subject.companion if kind == "companion" else companion
    template = words["companion_template" if accompanied or kind == "companion" else "template"]
    shown: str = template.format(object=f"a {colour} {subject.name}", place=place, companion=companion)
    return shown.replace(" a orange", " an orange")


@cache
def _words() -> Any:
    return json.loads(Path(__file__).with_name("prompts.json").read_text(encoding="utf-8"))
