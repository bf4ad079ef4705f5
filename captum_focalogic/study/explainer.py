"""Images to rows: what every engine does with a group of images."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from captum_focalogic.arrays import Labels
from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import BrokenModelError, InputError
from captum_focalogic.focus import Focus
from captum_focalogic.ground_truth import GroundTruth, MatchedRegions, as_ground_truth, match_regions
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.oracle import search
from captum_focalogic.oracle.batching import FixedBatching
from captum_focalogic.oracle.references import check_form
from captum_focalogic.oracle.removal import remover, warn_of_lost, whole_patches
from captum_focalogic.regions import as_label_map
from captum_focalogic.search.strategies import strategy_for
from captum_focalogic.segmenters import ForwardPass, Grid, LabelMapFile, Segmenter, Slic, cut
from captum_focalogic.study.items import Item, Sample
from captum_focalogic.study.probes import answers_to
from captum_focalogic.study.rows import Row, error_row, row_of
from captum_focalogic.study.settings import StudySettings, setting_text

OnJudged = Callable[[int], object]
OnEnded = Callable[[str], object]

_REENTRANT = (Grid, LabelMapFile, Slic)
"""Segmenters that several threads may call at once."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image that is ready to be explained.

    Attributes
    ----------
    index, id, label
        Its place in the study, its id and its class.
    image : (3, H, W) Tensor
        What the model sees.
    label_map : (H, W) int64
        Its regions; where patches are left out, made of whole ones.
    lost : (L,) int64 or None
        Regions that won no patch; None where regions are filled.
    truth : GroundTruth or None
        Where the object is.
    matched : MatchedRegions or None
        Which of the regions are the object.
    seconds : float
        What reading and cutting took.
    """

    index: int
    id: str
    label: int | None
    image: Tensor
    label_map: Labels
    lost: NDArray[np.int64] | None
    truth: GroundTruth | None
    matched: MatchedRegions | None
    seconds: float


def fit_truth(truth: GroundTruth, whole: Image.Image | Tensor, image: Tensor, model: Classifier) -> GroundTruth:
    """Ground truth in the size that the model sees.

    Parameters
    ----------
    truth : GroundTruth
        Of the whole image's size or the seen one's.
    whole : PIL.Image.Image or Tensor
        What the image was made from.
    image : (3, H, W) Tensor
        What the model sees.
    model : Classifier
        Who sees it.

    Raises
    ------
    InputError
        If the masks are of another size, or how the model crops images is not known.
    """
    if truth.size == tuple(image.shape[1:]):
        return truth
    return truth.mapped(lambda mask: fit_labels(mask.astype(np.int64), whole, image, model, "mask") != 0)


def fit_labels(
    label_map: Labels, whole: Image.Image | Tensor, image: Tensor, model: Classifier, what: str = "label map"
) -> Labels:
    """A label map in the size that the model sees; parameters and errors as :func:`fit_truth`."""
    height, width = image.shape[1:]
    if label_map.shape == (height, width):
        return label_map
    if not isinstance(whole, Image.Image) or label_map.shape != (whole.height, whole.width):
        raise InputError(
            f"the {what} is {label_map.shape[1]}x{label_map.shape[0]} pixels (width x height), but the model sees "
            f"{width}x{height}; make it of that size, or of the whole image's"
        )
    if model.preprocess_labels is None:
        raise InputError(
            f"the {what} is of the whole image's size, but how {model.name} crops images is not known; make it "
            f"{width}x{height} (width x height), the size that the model sees"
        )
    return model.preprocess_labels(label_map)


class Explainer:
    """Explains images under a study's settings, with one copy of its model.

    Parameters
    ----------
    settings : StudySettings
        How images are explained.
    """

    def __init__(self, settings: StudySettings) -> None:
        self.settings = settings
        self.model: Classifier = settings.model.make().to(settings.device)
        self._removes = remover(settings.removal, self.model.forward)
        self._segmenter = settings.segmenter or Slic()
        self._one_at_a_time = threading.Lock()
        self._takes_channels_last: bool | None = None
        self._first: torch.Tensor | None = None
        self._answers: dict[torch.Size, list[float] | None] = {}
        self._misfits: dict[int, Exception] = {}

    def prepare(self, index: int, item: Item) -> Prepared | Row:
        """Read and cut an image; what goes wrong becomes the image's row. Safe to call from several threads."""
        start = time.perf_counter()
        label, seen = item.label, False
        try:
            sample = item.read()
            label = item.label if sample.label is None else sample.label
            image = sample.image if isinstance(sample.image, Tensor) else self.model.preprocess(sample.image)
            if image.dim() != 3:
                raise InputError(f"an image must be (3, H, W); got shape {tuple(image.shape)}")
            seen = True
            if self.settings.segmenter is None and sample.label_map is not None:
                label_map = fit_labels(sample.label_map, sample.image, image, self.model)
            else:
                label_map = self.cut(image, self._segmenter)
            lost = None
            if self.settings.removal == "tokens":
                label_map, lost = whole_patches(label_map, self._removes)
                warn_of_lost(item.id, lost)
            truth = self._truth(item.id, label, image, sample)
            matched = None if truth is None else match_regions(label_map, truth, self.settings.match)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            if seen:
                self._misfits[index] = error
            return {**error_row(index, item.id, label, error), "load_seconds": time.perf_counter() - start}
        return Prepared(index, item.id, label, image, label_map, lost, truth, matched, time.perf_counter() - start)

    def check_first(self, prepared: Sequence[Prepared | Row]) -> str | None:
        """Tell of what fits none of the first images before anything is asked about them.

        Returns
        -------
        str or None
            What is to be warned of, in the process that somebody watches.

        Raises
        ------
        InputError
            If each of them was read, and the regions, masks or names of classes that belong to it do not fit.
        """
        ready = [image for image in prepared if isinstance(image, Prepared)]
        number = len(prepared)
        if number < _FEW:
            return None
        misfits = [self._misfits.get(row["index"]) for row in prepared if not isinstance(row, Prepared)]
        if not ready and misfits[0] is not None and all(misfits):
            raise InputError(
                f"nothing was asked yet: each of the first {number} images was read, but what belongs to it does not "
                f"fit: {misfits[0]}"
            ) from misfits[0]
        return self._doubt_of_truth(ready) if ready and callable(self.settings.truth) else None

    def _doubt_of_truth(self, first: Sequence[Prepared]) -> str | None:
        truths = [image.matched for image in first if image.matched is not None]
        if not truths:
            return (
                f"none of the first {len(first)} images has ground truth by {setting_text(self.settings.truth)}, as "
                f"{first[0].id!r} has none: without it there is no precision and no recall"
            )
        if not any(matched.regions.any() for matched in truths):
            return (
                f"in the first {len(first)} images no region matches the ground truth by {self.settings.match}, so "
                "that there is no recall; cut finer regions, or match by coverage:0.5"
            )
        return None

    @property
    def classes(self) -> int | None:
        """How many the model has; None before it has answered, and for one that gives no scores of classes."""
        known = self._first is not None and self._first.dim() == 2 and self._first.shape[1] > 1
        return self._first.shape[1] if self._first is not None and known else None

    def rows(
        self,
        prepared: Sequence[Prepared | Row],
        on_judged: OnJudged = lambda _: None,
        on_ended: OnEnded = lambda _: None,
    ) -> list[Row]:
        """Explain a group of images; tells how many states were judged, and the id of each image that is done.

        Raises
        ------
        BrokenModelError
            If the model raised an exception for every one of several images.
        """
        ready = [image for image in prepared if isinstance(image, Prepared)]
        rows = [row for row in prepared if not isinstance(row, Prepared)]
        by_size: dict[tuple[int, ...], list[Prepared]] = {}
        for image in ready:
            by_size.setdefault(tuple(image.image.shape), []).append(image)
        failures: list[Exception] = []
        for images in by_size.values():
            rows.extend(self._explain(images, failures, on_judged, on_ended))
        if len(failures) >= _HOPELESS and len(failures) == len(ready):
            raise BrokenModelError(
                f"the model failed on each of {len(failures)} images, so it is the model that is broken: "
                f"{type(failures[0]).__name__}: {failures[0]}"
            ) from failures[0]
        return sorted(rows, key=lambda row: int(row["index"]))

    def focus(self, image: Prepared) -> Focus:
        """The explanation of one image, with everything that a row leaves out."""
        return self._ask([image])[0]

    def cut(self, image: Tensor, segmenter: Segmenter) -> Labels:
        """An image, as the model sees it, in regions. Safe to call from several threads."""
        size = (image.shape[1], image.shape[2])
        seen = image.expand(3, -1, -1)
        if isinstance(segmenter, _REENTRANT):
            return as_label_map(segmenter(seen), size)
        with self._one_at_a_time:
            return as_label_map(cut(segmenter, seen, ForwardPass.of(self.model.forward, image)), size)

    def _truth(self, name: str, label: int | None, image: Tensor, sample: Sample) -> GroundTruth | None:
        source, found = self.settings.truth, sample.truth
        if source is False:
            return None
        if source is not True:
            # of "tench, Tinca tinca" the first name is asked for
            said = (self.model.label_of(label) or "").partition(",")[0]
            with self._one_at_a_time:
                found = source(image, said, name)
        if found is None:
            return None
        truth = found if isinstance(found, GroundTruth) else as_ground_truth(np.asarray(found) != 0)
        return fit_truth(truth, sample.image, image, self.model) if len(truth) else None

    def _explain(
        self, images: list[Prepared], failures: list[Exception], on_judged: OnJudged, on_ended: OnEnded
    ) -> list[Row]:
        """Rows of images of one size; of those that the model fails on, the errors."""
        start = time.perf_counter()
        try:
            asked = self._ask(images, on_judged, on_ended)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            if len(images) > 1:
                return [row for image in images for row in self._explain([image], failures, on_judged, on_ended)]
            failures.append(error)
            (image,) = images
            row = error_row(image.index, image.id, image.label, error)
            return [{**row, "load_seconds": image.seconds, "explain_seconds": time.perf_counter() - start}]
        rows = [
            row_of(image.index, image.id, image.label, focus, image.matched, self.settings.thresholds)
            for image, focus in zip(images, asked, strict=True)
        ]
        seconds = (time.perf_counter() - start) / max(1, sum(row["evaluations"] for row in rows))
        for image, row in zip(images, rows, strict=True):
            row.update(load_seconds=image.seconds, explain_seconds=seconds * row["evaluations"])
            row["lost_regions"] = None if image.lost is None else image.lost.tolist()
            row["probes"] = self._answered(image.image)
        return rows

    def _answered(self, image: Tensor) -> list[float] | None:
        """What the model says to images that are the same in all studies, of this one's size."""
        if image.shape not in self._answers:
            like = self._laid_out(image[None].to(self.settings.device))[0]
            try:
                self._answers[image.shape] = answers_to(self.model.forward, like)
            except (MemoryError, torch.OutOfMemoryError):
                raise
            except Exception:  # a model may refuse what is no image of its kind; nothing is told then
                self._answers[image.shape] = None
        return self._answers[image.shape]

    def _laid_out(self, inputs: Tensor) -> Tensor:
        """Channels last on a CPU, where convolutions then take half the time, unless the model cannot read it.

        Found out with a grey image and not with the first one: rows must not depend on which images are left.
        """
        if inputs.device.type != "cpu" or not isinstance(self.model.forward, nn.Module):
            return inputs
        if self._takes_channels_last is None:
            grey = torch.full_like(inputs[:1], 0.5).to(memory_format=torch.channels_last)
            try:
                with torch.no_grad():
                    self.model.forward(grey)
                self._takes_channels_last = True
            except RuntimeError:
                self._takes_channels_last = False
        return inputs.to(memory_format=torch.channels_last) if self._takes_channels_last else inputs

    def _ask(
        self, images: list[Prepared], on_judged: OnJudged = lambda _: None, on_ended: OnEnded = lambda _: None
    ) -> list[Focus]:
        settings = self.settings
        inputs = self._laid_out(torch.stack([image.image for image in images]).to(settings.device))
        masks = torch.stack([torch.from_numpy(image.label_map) for image in images])[:, None].to(settings.device)
        models = MaskedModel.batch(
            self.model.forward,
            inputs,
            settings.baseline,
            feature_mask=masks,
            criterion=settings.criterion,
            outputs=settings.outputs,
            removal=settings.removal,
            batching=FixedBatching(max(1, settings.batch // len(images)) * len(images)),
        )
        whole = models[0].references.outputs
        if self._first is None:
            self._first = whole[:1]
        # The rows of a study are compared with each other, so that one rule has to judge them all.
        check_form(whole, self._first)
        results = search(
            models,
            lambda count, most: strategy_for(settings.search, settings.reading, count, most),
            settings.max_evaluations,
            on_judged=on_judged,
            on_finished=lambda place: on_ended(images[place].id),
        )
        if any(result.certificate.stopped == "interrupted" for result in results):
            raise KeyboardInterrupt
        focuses = [model.focus(result, settings.reading) for model, result in zip(models, results, strict=True)]
        return [model.with_image(focus) for model, focus in zip(models, focuses, strict=True)]


def check_labels(classes: int | None, items: Sequence[Item]) -> None:
    """Tell of classes that the model does not have, as soon as it has answered once.

    Raises
    ------
    InputError
        If an image's class has a number beyond the model's.
    """
    beyond = [item for item in items if classes is not None and item.label is not None and item.label >= classes]
    if classes is not None and beyond:
        raise InputError(
            f"the model has {classes} classes, 0 to {classes - 1}, but {len(beyond)} image(s) are of others, as "
            f"{beyond[0].id!r} is of class {beyond[0].label}; number the data's classes as the model does"
        )


_FEW = 4
"""Images from which on what fits none of them fits none at all."""

_HOPELESS = 8
"""Images a model must fail on, all of a group, for it to count as broken."""
