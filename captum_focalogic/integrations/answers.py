"""Which of the labels a language model means: by its words, or by the probabilities of its tokens."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from captum_focalogic.errors import InputError, warn

Tokens = tuple[int, ...]

QUESTION = "Which one of these labels fits the image best? {labels}. Answer with the label alone."
"""What is asked; ``{labels}`` is replaced by the labels, separated by commas."""


def ask(question: str, labels: Sequence[str]) -> str:
    """The question with the labels in it."""
    return question.replace("{labels}", ", ".join(labels))


def read_answer(text: str | None, labels: Sequence[str]) -> int | None:
    """The label that a text is, or None.

    The text must be the label and nothing else, but for capitals, quotes, a full stop, a code fence, and the JSON
    object ``{"label": …}`` around it: a label somewhere in a sentence may have "not" before it. Reasoning may come
    before it, if that is marked as such (``<think>…</think>``), or if the answer is (``Answer: …`` in a line of its
    own, or a JSON object at the end).

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
    said = _answer_in(text)
    if said.startswith("{"):
        try:
            found = json.loads(said, object_pairs_hook=_once).get("label")
        except (ValueError, AttributeError, RecursionError):
            return None
        if not isinstance(found, str):
            return None
        said = found
    plain = _plain(said)
    known = [_plain(label) for label in labels]
    return known.index(plain) if known.count(plain) == 1 else _exactly(said, labels)


_REASONING = re.compile(r"^.*</(think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
"""Up to its last end: chat templates often keep the tag that begins it to themselves."""
_UNENDED = re.compile(r"<(think|thinking|reasoning)>", re.IGNORECASE)
_FENCE = re.compile(r"```[a-zA-Z]*\s*(.*?)\s*```$", re.DOTALL)
_OBJECT = re.compile(r"\{[^{}]*\}$")
_SEVERAL = re.compile(r"(\{[^{}]*\}\s*){2,}")
_MARKED = re.compile(r"(?:^|\n)[*_# ]*(?:final )?(?:answer|label)[*_ ]*:[*_ ]*([^\n]+)$", re.IGNORECASE)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's fields, none of which may be there twice: two labels are no answer."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a field is there twice")
    return dict(pairs)


def _answer_in(text: str) -> str:
    """The answer itself, without reasoning before it and marks around it."""
    said = _REASONING.sub("", text).strip().removeprefix("\ufeff")
    if _UNENDED.search(said) or _SEVERAL.fullmatch(said):
        return ""  # cut off before the answer; or several of them
    for end in (_FENCE, _OBJECT, _MARKED):
        found = end.search(said)
        if found:
            said = found.group(found.re.groups).strip()
    return said


def _exactly(said: str, labels: Sequence[str]) -> int | None:
    """For labels that differ in capitals only."""
    return list(labels).index(said.strip()) if said.strip() in labels else None


def _plain(text: str) -> str:
    marks = "\"'`*"
    return text.strip().strip(marks).rstrip(".").strip().strip(marks).casefold()


def scores_of(answers: Sequence[int | None], num_labels: int) -> Tensor:
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


class StrayAnswers(Counter[str]):
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


@dataclass(frozen=True)
class TokenChoices:
    """The choices between labels, token by token.

    Attributes
    ----------
    sequences : tuple of tuple of int
        Tokens of each label, the one that ends an answer included.
    branches : mapping of prefix to the tokens that can follow
        Only prefixes after which there is a choice, shortest first.
    """

    sequences: tuple[Tokens, ...]
    branches: Mapping[Tokens, Tokens]

    def log_probabilities(self, next_tokens: Callable[[Tokens], Tensor]) -> Tensor:
        """Log-probability of each label, given that the answer is one of them.

        The model is asked only where there is a choice, and its probabilities are shared out among the tokens that
        lead to a label. Labels whose first tokens all differ need one forward.

        Parameters
        ----------
        next_tokens : callable
            A prefix of tokens to logits of the next token, (N, vocabulary).

        Returns
        -------
        (N, K) float32 Tensor
            Each row's probabilities sum to 1.
        """
        chosen = {
            prefix: next_tokens(prefix)[:, list(choices)].float().log_softmax(dim=1)
            for prefix, choices in self.branches.items()
        }
        columns = []
        for sequence in self.sequences:
            steps = [
                chosen[sequence[:length]][:, self.branches[sequence[:length]].index(sequence[length])]
                for length in range(len(sequence))
                if sequence[:length] in self.branches
            ]
            columns.append(torch.stack(steps).sum(dim=0))
        return torch.stack(columns, dim=1)


def token_choices(sequences: Sequence[Sequence[int]], end: int, labels: Sequence[str]) -> TokenChoices:
    """The choices between labels.

    Parameters
    ----------
    sequences : sequence of sequences of int
        Tokens of each label.
    end : int
        The token that ends an answer.
    labels : sequence of str
        For errors.

    Raises
    ------
    InputError
        If there are fewer than two, or two labels have the same tokens.
    """
    ended = tuple((*sequence, end) for sequence in sequences)
    if len(ended) < 2:
        raise InputError("there must be at least two labels to choose from")
    for position, sequence in enumerate(ended):
        if sequence in ended[:position]:
            twin = labels[ended.index(sequence)]
            raise InputError(
                f"the tokenizer cannot tell {labels[position]!r} from {twin!r}; name one of them otherwise"
            )
    followers: dict[Tokens, set[int]] = {}
    for sequence in ended:
        for length in range(len(sequence)):
            followers.setdefault(sequence[:length], set()).add(sequence[length])
    branches = {prefix: tuple(sorted(next_)) for prefix, next_ in followers.items() if len(next_) > 1}
    return TokenChoices(ended, dict(sorted(branches.items(), key=lambda item: (len(item[0]), item[0]))))
