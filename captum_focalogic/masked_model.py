"""MaskedModel: one example's model, asked about its regions. Everything that asks, asks it."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from captum_focalogic import arguments
from captum_focalogic.arrays import Labels
from captum_focalogic.baselines import fill_words
from captum_focalogic.classifier import labels_from
from captum_focalogic.criteria import (
    OutputKind,
    Outputs,
    as_criterion,
    class_probabilities,
    criterion_text,
    middle_of,
    target_probability,
)
from captum_focalogic.errors import InputError
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.focus import Focus
from captum_focalogic.images import image_bytes
from captum_focalogic.masking import Example, Masker
from captum_focalogic.names import listed_labels
from captum_focalogic.oracle import (
    Answers,
    AnyCriterion,
    Batching,
    Forward,
    Memory,
    References,
    Summaries,
    batching_for,
    drive,
    listed,
)
from captum_focalogic.oracle.forward import warn_of_training, weights_digest
from captum_focalogic.oracle.memory import HIGHEST
from captum_focalogic.oracle.references import reference_outputs
from captum_focalogic.oracle.removal import prove, removing, snapped
from captum_focalogic.preprocess import Normalisation
from captum_focalogic.provenance import Prediction, Provenance, Removal, versions
from captum_focalogic.regions import Partition, partition_from_masks
from captum_focalogic.search import Reading, SearchResult
from captum_focalogic.search import states as st
from captum_focalogic.search.critical import Inquiry
from captum_focalogic.search.states import Packed
from captum_focalogic.segmenters import Segmenter

RowsPerCall = int | Literal["auto"]
"""Most masked inputs an example in one call of the model; "auto" measures what is fastest."""


@dataclass(frozen=True, eq=False)
class _Call:
    """What the examples of one call share."""

    forward_func: Callable[..., Any]
    forward: Forward
    references: References
    batching: Batching
    masker: Masker
    removal: Removal
    baseline: str | None
    normalisation: Normalisation | None
    labels: list[str] | None
    lost: tuple[NDArray[np.int64], ...]


class MaskedModel:
    """One example's model as a function of which regions are kept.

    Holds the partition, the baselines, the reference (what the model says on the whole input) and the memory of
    answers: each state is asked once, whoever asks, and criteria are views on what was answered. Safe under threads.

    Parameters
    ----------
    forward_func : callable
        A module or any function of the input tensors (then the additional arguments) that returns one row an input.
    inputs : Tensor or tuple of Tensor
        One example, (1, ...) each.
    baselines : None, number, Tensor, array, str, or a tuple of these
        What dropped regions are replaced by; 0 by default. A text names a baseline of images, such as "mean"
        (:func:`captum_focalogic.baselines.baseline_from_text`).
    target : None, int, str, tuple or Tensor
        The class that is explained, as in Captum, or by its name; the model's own prediction by default.
    additional_forward_args : object
        Further arguments of the forward function.
    feature_mask : Tensor or array, or a tuple of these, optional
        Integer region ids that broadcast to the inputs, or masks; without it images are segmented (``segmenter``).
    criterion : str, Criterion or callable
        What "the prediction is unchanged" means; see :mod:`captum_focalogic.criteria`.
    outputs : {"auto", "logits", "probabilities"}
        What the model's numbers are.
    removal : {"fill", "tokens"}
        How dropped regions are taken away: filled with the baseline, or left out by the model itself: a vision
        transformer (:mod:`captum_focalogic.integrations.vision_transformers`), or a model that has
        ``forward_masked(images (B, C, H, W), kept (B, H, W) bool)``. Regions are then made of whole patches first. It
        is tried before anything is asked, and refused where the model does not do it; see ``docs/removal.md``.
    segmenter, to_image, mean, std, labels
        As for :class:`~captum_focalogic.attributor.FocaLogic`.
    perturbations_per_eval : int or "auto"
        Most masked inputs in one call of the model.

    Raises
    ------
    InputError
        If an argument does not fit, or the inputs hold more than one example. What the model raises passes through.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from captum_focalogic import MaskedModel
    >>> model = lambda x: torch.stack([x.sum(1) * 0 + 1.5, x[:, 0] + x[:, 1] * x[:, 2]], dim=1)
    >>> masked = MaskedModel(model, torch.ones(1, 3), target=1, feature_mask=torch.arange(3)[None])
    >>> masked.ask(np.array([[True, True, True], [True, True, False]])).valid
    array([ True, False])
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        inputs: Tensor | tuple[Tensor, ...],
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        criterion: str | AnyCriterion = "top1",
        outputs: Outputs = "auto",
        *,
        removal: Removal = "fill",
        segmenter: str | Segmenter = "slic:12",
        to_image: arguments.ToImage | None = None,
        mean: Any = None,
        std: Any = None,
        labels: Sequence[str] | Mapping[Any, str] | str | None = None,
        perturbations_per_eval: RowsPerCall = "auto",
    ) -> None:
        rows = arguments.format_inputs(inputs)
        if len(rows[0]) != 1:
            raise InputError(
                f"a MaskedModel is about one example; got {len(rows[0])}. Pass inputs[i:i+1], or use MaskedModel.batch"
                f"{arguments.unbatched(rows)}"
            )
        (one,) = MaskedModel.batch(
            forward_func,
            rows,
            baselines,
            target,
            additional_forward_args,
            feature_mask,
            criterion,
            outputs,
            removal=removal,
            segmenter=segmenter,
            to_image=to_image,
            mean=mean,
            std=std,
            labels=labels,
            batching=batching_for(perturbations_per_eval, forward_func, rows, {}),
        )
        self.__dict__.update(one.__dict__)

    @classmethod
    @torch.no_grad()
    def batch(
        cls,
        forward_func: Callable[..., Any],
        inputs: Tensor | tuple[Tensor, ...],
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        criterion: str | AnyCriterion = "top1",
        outputs: Outputs = "auto",
        *,
        removal: Removal = "fill",
        segmenter: str | Segmenter = "slic:12",
        to_image: arguments.ToImage | None = None,
        mean: Any = None,
        std: Any = None,
        labels: Sequence[str] | Mapping[Any, str] | str | None = None,
        batching: Batching | None = None,
    ) -> "list[MaskedModel]":
        """One MaskedModel an example, whose references are asked in shared calls.

        Parameters are those of the class, for N examples; ``batching`` says how many rows a call may have.
        """
        rows = arguments.format_inputs(inputs)
        normalisation = Normalisation.stated(mean, std)
        args = () if additional_forward_args is None else additional_forward_args
        args = args if isinstance(args, tuple) else (args,)
        plain = Forward(forward_func, args, len(rows[0]))

        def ask(row: int) -> Tensor:
            return plain(tuple(tensor[row : row + 1] for tensor in rows), torch.tensor([row]))

        image_of = arguments.image_maker(to_image, normalisation)
        masks = arguments.masks_of(feature_mask, rows, segmenter, image_of, forward_func, ask)
        filled = arguments.format_baselines(baselines, rows, masks, normalisation)
        examples = arguments.take_apart(rows, filled, masks)
        named = listed_labels(labels_from(labels))
        judged_by = as_criterion(criterion, named)
        target = arguments.targets_of(target, named)
        asked = removing(removal, forward_func, examples)
        lost, examples = snapped(examples, asked) if removal == "tokens" else ((), examples)
        warn_of_training(forward_func)
        forward = Forward(asked, args, len(examples))
        batching = batching or batching_for("auto", forward_func, rows, {})
        try:
            whole = reference_outputs(forward, examples, batching)
        except Exception as error:
            if hint := arguments.unbatched(rows):
                error.add_note(hint.removeprefix(". "))
            raise
        if removal == "tokens":
            prove(forward, examples[0], whole[:1])
        call = _Call(
            forward_func,
            forward,
            References(whole, target, judged_by, outputs),
            batching,
            Masker(),
            removal,
            baselines if isinstance(baselines, str) else None,
            normalisation,
            named,
            lost,
        )
        models = [cls.__new__(cls) for _ in examples]
        for row, (model, example) in enumerate(zip(models, examples, strict=True)):
            model._begin(call, row, example, judged_by, Memory(example.partition.num_regions))
        for model in models[:1]:
            model.check_labels(named)
        _remember_references(models)
        return models

    def _begin(self, call: _Call, row: int, example: Example, criterion: AnyCriterion, memory: Memory) -> None:
        self._call = call
        self.row = row
        self.example = example
        self.criterion = criterion
        self.memory = memory
        self.references = call.references
        self.forward = call.forward
        self.removal = call.removal
        self.batching = call.batching
        self.masker = call.masker

    @property
    def partition(self) -> Partition:
        """The regions."""
        return self.example.partition

    @property
    def region_ids(self) -> NDArray[np.int64]:
        """Feature mask value of each region, ascending: the column order of every state, (M,)."""
        return self.partition.region_ids

    @property
    def areas(self) -> NDArray[np.float64]:
        """Share of the example's elements in each region, (M,)."""
        return self.partition.areas

    @property
    def num_regions(self) -> int:
        """M."""
        return self.partition.num_regions

    @property
    def lost_ids(self) -> NDArray[np.int64]:
        """Regions that were given and won no patch, so that no state has a column for them; their weight is 0."""
        return self._call.lost[self.row] if self._call.lost else np.zeros(0, dtype=np.int64)

    @property
    def target(self) -> int | tuple[int, ...] | None:
        """The class that is explained, as Captum writes it; None for outputs without classes."""
        targets = self.references.targets
        return None if targets is None else targets.of(self.row)

    def check_labels(self, labels: Sequence[str] | None) -> None:
        """Refuse names of more or fewer classes than the model has: they would be those of other classes.

        Raises
        ------
        InputError
            If there are.
        """
        classes = 1 if self.references.targets is None else self.references.scores.shape[1]
        if labels and classes > 1 and len(labels) != classes:
            raise InputError(
                f"there are {len(labels):,} names for the {classes:,} classes that the model gives, so that they may "
                "be those of other classes; give labels= with one name a class, in the model's order"
            )

    @property
    def labels(self) -> list[str] | None:
        """What the classes are called, where that was given."""
        return self._call.labels

    def label_of(self, index: int) -> str | None:
        """What a class is called, where labels were given."""
        labels = self._call.labels or []
        return labels[index] if 0 <= index < len(labels) else None

    @property
    def kind(self) -> OutputKind | None:
        """What the model's numbers are; None where a function of the user's looks at them."""
        return None if self.references.targets is None else OutputKind(int(self.references.kinds[self.row]))

    @property
    def prediction(self) -> Prediction | None:
        """What the model says on the whole input: its highest class, or its label, or the side of its one number.

        None where a function of the user's looks at the outputs by itself.
        """
        references = self.references.on(torch.device("cpu"))
        if references.targets is None:
            return None
        scores = references.scores[self.row : self.row + 1]
        kind = OutputKind(int(references.kinds[self.row]))
        if scores.shape[1] == 1:
            value = scores[0, 0].item()
            if kind == OutputKind.LABELS:
                return Prediction(int(value), self.label_of(int(value)))
            yes = value > middle_of(kind)
            share = target_probability(scores, torch.zeros(1).long(), references.kinds[[self.row]], scores)[0].item()
            return Prediction(int(yes), probability=None if np.isnan(share) else share)
        highest = self.summarise(scores)
        index = int(highest.predicted[0])
        likely = class_probabilities(scores, kind)
        top = zip(highest.top[0].tolist(), highest.top_probability[0].tolist(), strict=True)
        return Prediction(
            index,
            self.label_of(index),
            probability=None if likely is None else float(likely[0, index]),
            top=tuple((number, self.label_of(number), probability) for number, probability in top),
        )

    @property
    def provenance(self) -> Provenance:
        """What is asked, of whom and about what, as a stored explanation keeps it."""
        kind, forward_func = self.kind, self._call.forward_func
        return Provenance(
            criterion=criterion_text(self.criterion),
            outputs=None if kind is None else kind.name.lower(),
            outputs_rule=self.references.numbers,
            baseline=self._call.baseline if self.removal == "fill" else None,
            fill=self._fill(),
            baseline_digest=fingerprint(*self.example.baselines) if self.removal == "fill" else None,
            removal=self.removal,
            model=getattr(forward_func, "__qualname__", type(forward_func).__qualname__),
            model_digest=weights_digest(forward_func),
            inputs_digest=fingerprint(*self.example.inputs),
            versions=versions(),
        )

    def _fill(self) -> str | None:
        """What the baseline looks like, where it is a number of an image."""
        inputs, baselines = self.example.inputs, self.example.baselines
        if self.removal != "fill" or self._call.baseline is not None or len(inputs) != 1 or inputs[0].dim() != 4:
            return None
        normalisation = self._call.normalisation
        return fill_words(baselines[0], inputs[0][0], None if normalisation is None else normalisation.undo)

    @property
    def whole(self) -> Answers:
        """What the model says on the whole input."""
        return self.ask(np.ones((1, self.num_regions), dtype=np.bool_))

    def ask(self, states: ArrayLike) -> Answers:
        """What the model says with only some regions kept; what it was asked before is answered from memory.

        Parameters
        ----------
        states : (B, M) bool
            True where a region is kept, columns in the order of :attr:`region_ids`.

        Returns
        -------
        Answers

        Raises
        ------
        InputError
            If the states are not such an array. What the model raises passes through.
        KeyboardInterrupt
            Passes through: nothing unasked is ever read as a verdict.
        """
        kept = np.asarray(states)
        if kept.ndim != 2 or kept.shape[1] != self.num_regions or kept.dtype != np.bool_:
            raise InputError(
                f"states must be a (B, {self.num_regions}) bool array, one column a region; "
                f"got {kept.dtype} of shape {kept.shape}"
            )
        packed = st.pack(kept)
        inquiry = Inquiry(listed(packed))
        drive([(self, inquiry)])
        if inquiry.stopped:
            raise KeyboardInterrupt
        return self.answers(packed)

    def answers(self, packed: Packed) -> Answers:
        """What is remembered of states that were asked, (B, W) packed."""
        valid, score = self.memory.verdicts(self.key, packed)
        summaries = self.memory.summaries(packed, self.summarise)
        has_classes = bool((summaries.predicted >= 0).any()) or not len(packed)
        return Answers(
            predicted=summaries.predicted if has_classes else None,
            probability=summaries.probability,
            score=score,
            valid=valid,
            top=summaries.top,
            top_probability=summaries.top_probability,
        )

    def under(self, criterion: str | AnyCriterion, labels: Sequence[str] | None = None) -> "MaskedModel":
        """The same memory under another criterion.

        Parameters
        ----------
        criterion : str, Criterion or callable
            As for the class; "over:CLASS" may name a class if ``labels`` are given.
        labels : sequence of str, optional
            Names of the model's classes; by default those that the class was given.
        """
        labels = self._call.labels if labels is None else labels
        judged_by = as_criterion(criterion, labels)
        view = MaskedModel.__new__(MaskedModel)
        view._begin(self._call, self.row, self.example, judged_by, self.memory)
        return view

    def filled(self, baselines: Any) -> "MaskedModel":
        """The same example, filled with other baselines: its reference is shared, its memory begins anew."""
        formatted = arguments.format_baselines(baselines, self.example.inputs, self._masks(), self._call.normalisation)
        own = tuple(
            each[0] if each.dim() == row.dim() else each
            for each, row in zip(formatted, self.example.inputs, strict=True)
        )
        model = MaskedModel.__new__(MaskedModel)
        example = Example(self.example.inputs, own, self.partition)
        call = replace(self._call, removal="fill", baseline=baselines if isinstance(baselines, str) else None)
        model._begin(call, self.row, example, self.criterion, Memory(self.num_regions))
        _remember_references([model])
        return model

    def filled_otherwise(self) -> "tuple[str, MaskedModel]":
        """The same example under another fill than its own, and what that is called: black, else the mean colour."""
        for name in ("black", "mean"):
            filled = self.filled(name)
            values, used = filled.example.baselines[0], self.example.baselines[0]
            if self.removal != "fill" or not bool((values == used.expand(values.shape)).all()):
                return name, filled
        return "white", self.filled("white")

    def refined(self, label_map: Labels) -> "MaskedModel":
        """The same example in a finer partition; what was asked is known there, as a coarse state is a fine one.

        Parameters
        ----------
        label_map : (H, W) int64
            Region of every pixel; each of them lies within one region of this model's.
        """
        columns = self.partition.columns[0]
        mask = torch.from_numpy(np.ascontiguousarray(label_map)).to(columns.device)[None]
        partition = partition_from_masks([mask], [self.example.inputs[0].shape[1:]])
        fine = partition.columns[0].reshape(-1)
        coarse_of = torch.zeros(partition.num_regions, dtype=torch.int64, device=columns.device)
        coarse_of[fine] = columns.expand(1, *mask.shape[1:]).reshape(-1)
        if not torch.equal(coarse_of[fine], columns.expand(1, *mask.shape[1:]).reshape(-1)):
            raise InputError("each region of a finer partition must lie within one region of the coarser one")
        model = MaskedModel.__new__(MaskedModel)
        memory = self.memory.refined(partition.num_regions, coarse_of.cpu().numpy())
        model._begin(self._call, self.row, replace(self.example, partition=partition), self.criterion, memory)
        return model

    def _masks(self) -> tuple[Tensor, ...]:
        return tuple(columns[None] for columns in self.partition.columns)

    def forgetful(self) -> "MaskedModel":
        """The same with an empty memory: states are put to the model again, past what it said before."""
        model = MaskedModel.__new__(MaskedModel)
        model._begin(self._call, self.row, self.example, self.criterion, Memory(self.num_regions))
        return model

    def focus(self, result: SearchResult, reading: Reading = "irreducible") -> Focus:
        """What a search of this model found out, in one of the readings that its states allow."""
        known = self.memory.summaries(result.evaluated.packed, self.summarise)
        focus = Focus(
            region_ids=self.region_ids,
            areas=self.areas,
            final_states=result.final_states,
            certificate=result.certificate,
            unfinished=result.unfinished,
            evaluated=replace(result.evaluated, predicted=known.predicted, probability=known.probability),
            label_map=self.label_map,
            target=self.target,
            target_name=self.label_of(self.target) if isinstance(self.target, int) else None,
            prediction=self.prediction,
            provenance=self.provenance,
        )
        if reading == "minimal":
            return focus.minimal()
        return focus.smallest() if reading == "smallest" else focus

    def with_image(self, focus: Focus, to_image: arguments.ToImage | None = None) -> Focus:
        """A focus of this model with its image, where the example is one that can be shown."""
        if focus.label_map is None:
            return focus
        row, shown_by = self.as_image(to_image)
        image = image_bytes(row, stretched=not shown_by)
        return focus if image is None or image.shape[:2] != focus.label_map.shape else replace(focus, image=image)

    def as_image(self, to_image: arguments.ToImage | None = None) -> tuple[Tensor, bool]:
        """The first input as an image, (C, H, W), and whether it is known how to make one of it."""
        row, made_by = self.example.inputs[0][0], arguments.image_maker(to_image, self._call.normalisation)
        return (row, False) if made_by is None else (made_by(row), True)

    @property
    def label_map(self) -> NDArray[np.int64] | None:
        """Region id of every pixel (H, W), where the example is one image whose channels share their regions."""
        inputs, columns = self.example.inputs, self.partition.columns[0]
        if len(inputs) != 1 or inputs[0].dim() != 4:
            return None
        if columns.dim() == 3:
            if not torch.equal(columns, columns[:1].expand_as(columns)):
                return None
            columns = columns[0]
        height, width = inputs[0].shape[2:]
        return np.asarray(self.region_ids[columns.expand(height, width).cpu().numpy()])

    @property
    def key(self) -> Hashable:
        """What verdicts are remembered under: equal criteria share them."""
        try:
            hash(self.criterion)
        except TypeError:
            return _Identity(self.criterion)
        return cast(Hashable, self.criterion)

    def judge(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Verdicts and scores for remembered outputs (B, ...)."""
        index = torch.full((len(outputs),), self.row, dtype=torch.int64, device=outputs.device)
        return self.references.on(torch.device("cpu")).judge(self.criterion, outputs, index)

    def summarise(self, outputs: Tensor) -> Summaries:
        """Class and probability for remembered outputs (B, ...)."""
        references = self.references.on(torch.device("cpu"))
        index = torch.full((len(outputs),), self.row, dtype=torch.int64, device=outputs.device)
        predicted = references.predicted(outputs)
        kind = self.kind
        likely = None if kind is None else class_probabilities(outputs, kind)
        values = outputs.new_zeros((len(outputs), 0)).float() if likely is None else likely
        top = values.nan_to_num(-1.0).topk(min(HIGHEST, values.shape[1]), dim=1)
        return Summaries(
            np.full(len(outputs), -1, dtype=np.int64) if predicted is None else predicted.numpy().astype(np.int64),
            references.probability(outputs, index).float().numpy(),
            top.indices.numpy().astype(np.int64),
            values.gather(1, top.indices).float().numpy(),
        )


class _Identity:
    """A criterion that cannot be hashed, equal to itself alone; holds it, so that its place is not taken by another."""

    def __init__(self, criterion: AnyCriterion) -> None:
        self._criterion = criterion

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other._criterion is self._criterion

    def __hash__(self) -> int:
        return id(self._criterion)


def _remember_references(models: list[MaskedModel]) -> None:
    """Put each whole input's answer into its memory: it is the first state that was asked."""
    references = models[0].references
    outputs = references.outputs
    index = torch.tensor([model.row for model in models], device=outputs.device)
    scores = references.read(outputs[index], index)
    valid, score = references.judge(models[0].criterion, scores, index)
    kept = scores.cpu()
    for position, model in enumerate(models):
        part = slice(position, position + 1)
        model.memory.store(
            model.key,
            st.full(model.num_regions),
            valid[part].cpu().numpy(),
            score[part].cpu().numpy(),
            kept[part],
            model.summarise,
        )
