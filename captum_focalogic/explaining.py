"""From examples to focuses: ask for the reference, search all examples at once, say what was found."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from captum_focalogic.arguments import ToImage
from captum_focalogic.criteria import Criterion, OutputCriterion
from captum_focalogic.errors import AggregateOutputError, InputError, ModelOutputError, warn
from captum_focalogic.focus import Focus
from captum_focalogic.images import image_bytes
from captum_focalogic.masking import Example
from captum_focalogic.oracle import (
    AutoBatching,
    Batching,
    Case,
    FixedBatching,
    Forward,
    Scheduler,
    Targets,
    resolve_targets,
)
from captum_focalogic.oracle.forward import is_out_of_memory
from captum_focalogic.search import Reading, Run, Strategy
from captum_focalogic.search.strategies import strategy_for


@dataclass(frozen=True)
class Question:
    """Everything one call asks: whom, about what, and what counts as an answer."""

    forward_func: Callable[..., Any]
    examples: list[Example]
    additional_args: tuple[Any, ...]
    target: Any
    criterion: Criterion | OutputCriterion
    search: str | Strategy
    reading: Reading
    max_evaluations: int | None
    time_limit: float | None

    @property
    def device(self) -> torch.device:
        """Where the inputs are."""
        return self.examples[0].inputs[0].device

    def batching(self, perturbations_per_eval: Any, measured: dict[Any, AutoBatching]) -> Batching:
        """Batch sizes for this call; what "auto" measures is kept in ``measured`` for calls like it.

        Raises
        ------
        InputError
            If ``perturbations_per_eval`` is neither a positive int nor "auto".
        """
        if perturbations_per_eval == "auto":
            inputs = self.examples[0].inputs
            key = (id(self.forward_func), self.device, tuple((row.shape[1:], row.dtype) for row in inputs))
            layouts = any(row.dim() == 4 and row.is_floating_point() for row in inputs)
            return measured.setdefault(key, AutoBatching(on_cpu=self.device.type == "cpu", layouts=layouts))
        if isinstance(perturbations_per_eval, bool) or not isinstance(perturbations_per_eval, int):
            raise InputError(f"perturbations_per_eval must be a positive int or 'auto'; got {perturbations_per_eval!r}")
        if perturbations_per_eval < 1:
            raise InputError(f"perturbations_per_eval must be at least 1; got {perturbations_per_eval}")
        return FixedBatching(perturbations_per_eval * len(self.examples))


class _Judge:
    """Reads verdicts off outputs, knowing every example's reference."""

    def __init__(self, criterion: Criterion | OutputCriterion, target: Any, outputs: Tensor) -> None:
        self._criterion = criterion
        self._outputs = outputs
        self.targets: Targets | None = None
        self._nan_rows = torch.zeros((), dtype=torch.int64, device=outputs.device)
        if isinstance(criterion, Criterion):
            self.targets = resolve_targets(target, outputs)
            self._reference = self.targets.scores(outputs, torch.arange(len(outputs), device=outputs.device))
            if self._reference.isnan().any():
                raise ModelOutputError(
                    "the model's output for the whole input holds NaN, so nothing can be compared with it"
                )
        elif target is not None:
            raise InputError("a criterion function decides by itself what to look at; leave target out")

    def __call__(self, outputs: Tensor, index: Tensor) -> tuple[Tensor, Tensor | None]:
        index = index.to(outputs.device)
        if self.targets is None:
            return self._by_function(outputs, self._outputs[index])
        assert isinstance(self._criterion, Criterion)
        scores = self.targets.scores(outputs, index)
        valid, score = self._criterion.judge(scores, self._reference[index], self.targets.classes[index])
        if not scores.is_floating_point():
            return valid, score
        broken = scores.isnan().any(dim=1)
        self._nan_rows += broken.sum()
        return valid & ~broken, score

    def _by_function(self, outputs: Tensor, reference: Tensor) -> tuple[Tensor, Tensor | None]:
        assert not isinstance(self._criterion, Criterion)
        answer = self._criterion(outputs, reference)
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
        return valid, score

    def warn_of_nan(self) -> None:
        """Tell how many masked inputs had no answer."""
        count = int(self._nan_rows)
        if count:
            warn(f"the model answered NaN for {count} masked input(s); they count as not valid")


def explain_all(question: Question, batching: Batching, on_judged: Callable[[int], object]) -> list[Focus]:
    """Explain all examples of a question together.

    Parameters
    ----------
    question : Question
        What is asked.
    batching : Batching
        Batch sizes.
    on_judged : callable
        Told how many more states have been judged.

    Returns
    -------
    list of Focus
        One an example, in order.
    """
    forward = Forward(question.forward_func, question.additional_args, len(question.examples))
    outputs = _reference_outputs(forward, question, batching)
    judge = _Judge(question.criterion, question.target, outputs)
    index = torch.arange(len(outputs), device=question.device)
    valid, score = judge(outputs, index)
    scores = torch.full((len(valid),), torch.nan, device="cpu") if score is None else score.float().cpu()
    on_judged(len(outputs))
    cases = [
        Case(row, example, _start(question, example, (bool(own_valid), float(own_score))))
        for row, (example, own_valid, own_score) in enumerate(
            zip(question.examples, valid.tolist(), scores.tolist(), strict=True)
        )
    ]
    Scheduler(forward, judge, batching, question.device, on_judged).drive(cases)
    judge.warn_of_nan()
    return [_focus(question, case, judge.targets) for case in cases]


def _reference_outputs(forward: Forward, question: Question, batching: Batching) -> Tensor:
    """The model's outputs for the whole inputs, (N, ...)."""
    parts: list[Tensor] = []
    start = 0
    while start < len(question.examples):
        examples = question.examples[start : start + batching.size]
        end = start + len(examples)
        batch = tuple(torch.cat(rows) for rows in zip(*(example.inputs for example in examples), strict=True))
        try:
            parts.append(forward(batch, torch.arange(start, end, device=question.device)))
            start = end
        except AggregateOutputError:
            if isinstance(batching, FixedBatching) or len(examples) == 1:
                raise
            batching.shrink(2)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or not batching.shrink(len(examples)):
                raise
    return torch.cat(parts)


def _start(question: Question, example: Example, verdict: tuple[bool, float]) -> Run:
    partition = example.partition
    strategy = strategy_for(question.search, question.reading, partition.num_regions, question.max_evaluations)
    return Run(
        strategy,
        partition.num_regions,
        areas=partition.areas,
        max_evaluations=question.max_evaluations,
        time_limit=question.time_limit,
        start=verdict,
    )


def _focus(question: Question, case: Case, targets: Targets | None) -> Focus:
    result = case.run.result()
    partition = case.example.partition
    focus = Focus(
        region_ids=partition.region_ids,
        areas=partition.areas,
        final_states=result.final_states,
        certificate=result.certificate,
        evaluated=result.evaluated,
        label_map=_label_map(case.example),
        target=None if targets is None else targets.of(case.index),
    )
    if question.reading == "minimal":
        return focus.minimal()
    return focus.smallest() if question.reading == "smallest" else focus


def _label_map(example: Example) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """Region id of every pixel, where the example is one image whose channels share their regions."""
    if len(example.inputs) != 1 or example.inputs[0].dim() != 4:
        return None
    columns = example.partition.columns[0]
    if columns.dim() == 3:
        if not torch.equal(columns, columns[:1].expand_as(columns)):
            return None
        columns = columns[0]
    height, width = example.inputs[0].shape[2:]
    return np.asarray(example.partition.region_ids[columns.expand(height, width).cpu().numpy()])


def with_image(focus: Focus, example: Example, to_image: ToImage | None) -> Focus:
    """The focus with its image, where the example is one that can be shown.

    Parameters
    ----------
    focus : Focus
    example : Example
        What the focus is about.
    to_image : callable, optional
        Undoes the model's normalisation: (C, H, W) -> (3, H, W) in [0, 1]. Without it, values outside [0, 1] are
        stretched to that range, as for a segmenter.
    """
    if focus.label_map is None:
        return focus
    row = example.inputs[0][0]
    image = image_bytes(row if to_image is None else to_image(row), stretched=to_image is None)
    return focus if image is None or image.shape[:2] != focus.label_map.shape else replace(focus, image=image)
