"""The model's outputs for the whole inputs, and verdicts on masked ones held against them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from captum_focalogic.criteria import (
    READ_THE_KIND,
    Criterion,
    OutputCriterion,
    OutputKind,
    Outputs,
    Top1,
    contradictions,
    kinds_of,
    target_probability,
)
from captum_focalogic.errors import AggregateOutputError, InputError, ModelOutputError, warn
from captum_focalogic.masking import Example
from captum_focalogic.oracle.batching import Batching, FixedBatching
from captum_focalogic.oracle.forward import Forward, is_out_of_memory
from captum_focalogic.oracle.targets import Targets, resolve_targets

AnyCriterion = Criterion | OutputCriterion


class References:
    """What the model said on the whole inputs of one call, and what of it is explained.

    Parameters
    ----------
    outputs : (N, ...) Tensor
        The model's outputs.
    target : object
        As Captum's attributors take it; None is each example's own prediction.
    criterion : Criterion or callable
        A callable looks at the outputs by itself, without classes.
    numbers : {"auto", "logits", "probabilities"}
        What the user says that the numbers are.

    Raises
    ------
    TargetError, ModelOutputError, InputError
        If the outputs cannot be read so.
    """

    def __init__(self, outputs: Tensor, target: Any, criterion: AnyCriterion, numbers: Outputs = "auto") -> None:
        self.outputs = outputs
        self.numbers = numbers
        self.targets: Targets | None = None
        self._copies: dict[torch.device, References] = {outputs.device: self}
        self._nan_rows = torch.zeros((), dtype=torch.int64, device=outputs.device)
        if isinstance(criterion, Criterion):
            self.targets = resolve_targets(target, outputs)
            self.scores = self.targets.scores(outputs, torch.arange(len(outputs), device=outputs.device))
            if self.scores.isnan().any():
                raise ModelOutputError(
                    "the model's output for the whole input holds NaN, so nothing can be compared with it"
                )
            self.kinds = kinds_of(self.scores, numbers)
            # Logits contradict nothing, so that no batch of them need be looked at for it.
            self._guessed = numbers == "auto" and bool((self.kinds != OutputKind.LOGITS).any())
            self._say_kinds(criterion)
            _warn_of_ties(self.scores)
        elif target is not None:
            raise InputError("a criterion function decides by itself what to look at; leave target out")

    def __len__(self) -> int:
        return len(self.outputs)

    def on(self, device: torch.device) -> "References":
        """The same on another device."""
        if device not in self._copies:
            copy = References.__new__(References)
            copy.__dict__.update(self.__dict__)
            copy.outputs = self.outputs.to(device)
            copy._nan_rows = torch.zeros((), dtype=torch.int64, device=device)
            if self.targets is not None:
                copy.targets = self.targets.on(device)
                copy.scores, copy.kinds = self.scores.to(device), self.kinds.to(device)
            self._copies[device] = copy
        return self._copies[device]

    def read(self, outputs: Tensor, index: Tensor) -> Tensor:
        """What is remembered of outputs: class scores where a target says where they stand, else all, (B, ...).

        Raises
        ------
        ModelOutputError
            If the outputs have another shape or dtype than those for the whole inputs.
        """
        check_form(outputs, self.outputs)
        return outputs if self.targets is None else self.targets.scores(outputs, index)

    def judge(self, criterion: AnyCriterion, scores: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Verdicts and scores (NaN where the criterion gives none) for what :meth:`read` gave, (B,) each."""
        # Not isinstance: a protocol walks its members for every batch.
        if not hasattr(criterion, "judge"):
            return _by_function(criterion, scores, self.outputs[index])
        if self.targets is None:
            raise InputError("a criterion on classes needs outputs that were asked for with one; ask the model anew")
        reference, kinds = _rows(self.scores, index), _rows(self.kinds, index)
        valid, score = criterion.judge(scores, reference, _rows(self.targets.classes, index), kinds)
        if score is None:
            score = torch.full((len(valid),), torch.nan, device=valid.device)
        if not scores.is_floating_point():
            return valid, score.float()
        # Of several classes the highest is the highest, whatever the numbers are.
        if self._guessed and isinstance(criterion, READ_THE_KIND) and (_one(scores) or criterion != Top1()):
            self._refuse_contradictions(scores, reference, kinds)
        broken = scores.isnan().any(dim=1)
        self._nan_rows += broken.sum()
        return valid & ~broken, score.float()

    def predicted(self, scores: Tensor) -> Tensor | None:
        """The highest class of each row of what :meth:`read` gave, or its label; None for other single numbers."""
        if self.targets is None or scores.dim() != 2:
            return None
        if scores.shape[1] > 1:
            return scores.argmax(dim=1)
        return None if scores.is_floating_point() else scores[:, 0].long()

    def probability(self, scores: Tensor, index: Tensor) -> Tensor:
        """The target's probability, NaN where there is none, (B,)."""
        if self.targets is None:
            return torch.full((len(scores),), torch.nan, device=scores.device)
        found = target_probability(scores, self.targets.classes[index], self.kinds[index], self.scores[index])
        # What was taken for a probability and is none says nothing.
        return found.masked_fill(~((found >= 0) & (found <= 1.001)), torch.nan).clamp(max=1.0)

    def warn_of_nan(self) -> None:
        """Tell how many masked inputs had no answer, once."""
        count = sum(int(copy._nan_rows) for copy in self._copies.values())
        if count:
            for copy in self._copies.values():
                copy._nan_rows.zero_()
            warn(f"the model answered NaN for {count} masked input(s); they count as not valid")

    def _say_kinds(self, criterion: AnyCriterion) -> None:
        if self.numbers != "auto" or not isinstance(criterion, READ_THE_KIND):
            return
        sigmoids = bool((self.kinds == OutputKind.SIGMOIDS).any())
        if sigmoids and self.scores.shape[1] == 1:
            warn(
                "the model gives one number, which lies between 0 and 1 for the whole input: it is taken for a "
                "probability, decided at 0.5; pass outputs='logits' if its sign decides, or 'probabilities' to agree"
            )
        elif sigmoids:
            warn(
                "the model's numbers for the whole input all lie between 0 and 1 and do not sum to 1: they are taken "
                "for independent probabilities of several labels, of which the highest is only one; pass "
                "criterion='threshold:0.5' to ask whether the target's label stays, or outputs= to say what they are"
            )

    def _refuse_contradictions(self, scores: Tensor, reference: Tensor, kinds: Tensor) -> None:
        wrong = contradictions(scores, reference, kinds)
        if not bool(wrong.any()):
            return
        row = int(wrong.nonzero()[0])
        low, high = float(scores[row].min()), float(scores[row].max())
        if kinds[row] == OutputKind.SCORE:
            raise ModelOutputError(
                f"the model gives exactly {float(reference[row, 0]):g} for the whole input and {low:.4g} for a masked "
                "one, so that it cannot be told whether its number is a probability; pass outputs='probabilities' or "
                "outputs='logits'"
            )
        raise ModelOutputError(
            "the model's numbers for the whole input look like probabilities, but those for a masked one lie in "
            f"[{low:.4g}, {high:.4g}]; pass outputs='logits'"
        )


def reference_outputs(forward: Forward, examples: list[Example], batching: Batching) -> Tensor:
    """The model's outputs for the whole inputs, (N, ...)."""
    parts: list[Tensor] = []
    start = 0
    while start < len(examples):
        taken = examples[start : start + batching.size]
        end = start + len(taken)
        batch = tuple(torch.cat(rows) for rows in zip(*(example.inputs for example in taken), strict=True))
        try:
            parts.append(forward(batch, torch.arange(start, end, device=batch[0].device)))
            start = end
        except AggregateOutputError:
            if isinstance(batching, FixedBatching) or len(taken) == 1:
                raise
            batching.shrink(2)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or not batching.shrink(len(taken)):
                raise
    # A copy: the model may write to its outputs again.
    return torch.cat(parts) if len(parts) > 1 else parts[0].clone()


def check_form(outputs: Tensor, whole: Tensor) -> None:
    """Refuse outputs of another shape or dtype than those for the whole inputs, which another rule would judge.

    Raises
    ------
    ModelOutputError
        If they are.
    """
    given, expected = (tuple(outputs.shape[1:]), outputs.dtype), (tuple(whole.shape[1:]), whole.dtype)
    if given != expected:
        raise ModelOutputError(
            f"the model's answer changed its form: {expected[1]} of shape (N, {_shape(expected[0])}) for the whole "
            f"input, {given[1]} of shape (N, {_shape(given[0])}) for masked ones; it must be the same for all"
        )


def _warn_of_ties(scores: Tensor) -> None:
    """Name the highest classes that half precision cannot tell apart."""
    if scores.dtype not in (torch.float16, torch.bfloat16) or scores.shape[1] < 2:
        return
    highest, classes = scores.float().topk(2, dim=1)
    for row in (highest[:, 0] == highest[:, 1]).nonzero()[:, 0].tolist():
        low, high = sorted(classes[row].tolist())
        precision = str(scores.dtype).removeprefix("torch.")
        warn(
            f"example {row}: classes {low} and {high} are both the highest in {precision}, and the lowest "
            "number counts as the prediction; let the last layer answer in float32 to tell them apart"
        )


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """The rows of these examples; of a single one there is nothing to look up."""
    return values.expand(len(index), *values.shape[1:]) if len(values) == 1 else values[index]


def _one(scores: Tensor) -> bool:
    return scores.shape[1] == 1


def _shape(sizes: tuple[int, ...]) -> str:
    return ", ".join(map(str, sizes))


def _by_function(
    criterion: Callable[[Tensor, Tensor], Any], outputs: Tensor, reference: Tensor
) -> tuple[Tensor, Tensor]:
    answer = criterion(outputs, reference)
    parts = answer if isinstance(answer, tuple) else (answer, None)
    if len(parts) != 2:
        raise InputError(f"the criterion function must return one tensor or a pair; got {len(parts)} values")
    valid, score = parts
    for name, values in (("validity", valid), ("scores", score)):
        if name == "scores" and values is None:
            continue
        if not isinstance(values, Tensor) or values.shape != (len(outputs),):
            given = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise InputError(
                f"the criterion function must return {name} as a tensor of shape ({len(outputs)},); got {given}"
            )
    if valid.dtype != torch.bool:
        raise InputError(f"the criterion function must return booleans; got {valid.dtype}")
    return valid, torch.full((len(valid),), torch.nan, device=valid.device) if score is None else score.float()
