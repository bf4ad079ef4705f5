"""Labels as a tree of tokens: where a language model that says one of them has to choose."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from captum_focalogic.errors import InputError

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class LabelTree:
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


def label_tree(sequences: Sequence[Sequence[int]], end: int, labels: Sequence[str]) -> LabelTree:
    """The tree of labels.

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
    return LabelTree(ended, dict(sorted(branches.items(), key=lambda item: (len(item[0]), item[0]))))
