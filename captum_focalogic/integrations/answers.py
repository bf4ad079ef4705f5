"""Answers in words: which of the labels a text names, if any, and what to do where it names none."""

import json
import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from captum_focalogic.errors import warn

QUESTION = "Which one of these labels fits the image best? {labels}. Answer with the label alone."
"""What is asked; ``{labels}`` is replaced by the labels, separated by commas."""


def ask(question: str, labels: Sequence[str]) -> str:
    """The question with the labels in it."""
    return question.replace("{labels}", ", ".join(labels))


def read_answer(text: str | None, labels: Sequence[str]) -> int | None:
    """The label that a text is, or None.

    The text must be the label and nothing else, but for capitals, quotes, a full stop, and the JSON object
    ``{"label": …}`` around it: a label somewhere in a sentence may have "not" before it.

    Parameters
    ----------
    text : str or None
        The answer.
    labels : sequence of str
        All different.

    Returns
    -------
    int or None
        Its index.
    """
    if text is None:
        return None
    said = text.strip()
    if said.startswith("{"):
        try:
            found = json.loads(said).get("label")
        except (ValueError, AttributeError):
            return None
        if not isinstance(found, str):
            return None
        said = found
    plain = _plain(said)
    known = [_plain(label) for label in labels]
    return known.index(plain) if known.count(plain) == 1 else _exactly(said, labels)


def _exactly(said: str, labels: Sequence[str]) -> int | None:
    """For labels that differ in capitals only."""
    return list(labels).index(said.strip()) if said.strip() in labels else None


def _plain(text: str) -> str:
    return text.strip().strip("\"'`*").rstrip(".").strip().casefold()


def as_scores(answers: Sequence[int | None], num_labels: int) -> Tensor:
    """Answers as class scores: 1 for the label that was named, NaN in all columns where none was.

    A masked image whose scores are NaN counts as a changed prediction.

    Returns
    -------
    (N, K) float32 Tensor
    """
    scores = torch.zeros(len(answers), num_labels)
    for row, answer in enumerate(answers):
        if answer is None:
            scores[row] = math.nan
        else:
            scores[row, answer] = 1.0
    return scores


class Outside(Counter[str]):
    """Answers that are none of the labels, and how often each was given."""

    def warn(self, texts: Sequence[str | None], who: str) -> None:
        """Count some more answers, and tell of them."""
        new = Counter("(no text)" if text is None else _brief(text) for text in texts)
        self.update(new)
        if new:
            shown = ", ".join(f"{text!r} {count} x" for text, count in new.most_common(3))
            warn(
                f"{who} answered outside the labels for {sum(new.values())} image(s), which count as changed "
                f"predictions: {shown}{', …' if len(new) > 3 else ''}"
            )


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
