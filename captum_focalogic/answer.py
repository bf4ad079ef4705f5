"""What a person gets from one image: the model's decision, and the final states that it rests on.

A session (:mod:`captum_focalogic.session`) holds what is asked about; the search asks the model, and what it found is
an :class:`Answer`.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from captum_focalogic.arguments import check_bound
from captum_focalogic.classifier import Classifier
from captum_focalogic.criteria import (
    OutputKind,
    Outputs,
    Over,
    Top1,
    Top1Ratio,
)
from captum_focalogic.errors import InputError, SearchInterrupt
from captum_focalogic.examination import Examination, Shares, shares_of
from captum_focalogic.focus import Focus, warn_of_emptiness
from captum_focalogic.images import image_bytes
from captum_focalogic.levels import with_shared
from captum_focalogic.logic import symbol
from captum_focalogic.masked_model import MaskedModel, RowsPerCall
from captum_focalogic.oracle import AnyCriterion, drive
from captum_focalogic.oracle import search as run_searches
from captum_focalogic.oracle.forward import billed
from captum_focalogic.preprocess import Normalisation
from captum_focalogic.provenance import Prediction, Removal
from captum_focalogic.search import Reading, Strategy
from captum_focalogic.search.critical import CriticalSets, Inquiry
from captum_focalogic.search.growth import GrownSets, grown_sets
from captum_focalogic.search.strategies import check_reading, strategy_for
from captum_focalogic.session import (
    BASELINE,
    CRITERION,
    SEGMENTER,
    Fill,
    Session,
    classifier_of,
    contrast,
    masked_models,
    open_session,
)
from captum_focalogic.summary import removal_setting, state_captions, summary
from captum_focalogic.tables import Table, printable_lines
from captum_focalogic.trust import Trust
from captum_focalogic.zoom import check_levels, coarse_budget, was_interrupted, zoom_in

MAX_EVALUATIONS = 1_000
_LABEL_WIDTH = 13


@dataclass(frozen=True, eq=False)
class Answer:
    """A decision and what it rests on. Holds no model, and can be pickled.

    Attributes
    ----------
    focus : Focus
        The final states, and everything known about them.
    title : str
        What the image is called.
    said : str
        The model's decision in words.
    device : str
        Where the model was asked.
    against : str or None
        The class that the explained one was held against, if it was.
    fill : (H, W, 3) or (1, 1, 3) uint8, or None
        What dropped regions were filled with, to be shown; None where it cannot be, or they were left out.
    grown : GrownSets or None
        Where the explained class is not the prediction: regions that alone are called so nevertheless.
    """

    focus: Focus
    title: str = "image"
    said: str = ""
    device: str = "cpu"
    against: str | None = None
    fill: NDArray[np.uint8] | None = None
    grown: GrownSets | None = None

    @property
    def prediction(self) -> Prediction | None:
        """What the model said to the whole image; None for a model of one number that is no label."""
        return self.focus.prediction

    @property
    def critical(self) -> CriticalSets | None:
        """What the decision does not survive the loss of; None where that was not asked."""
        return self.focus.critical

    @property
    def trust(self) -> Trust | None:
        """How far the formula can be trusted; None where that was not asked."""
        return self.focus.trust

    def named(self, names: Mapping[Any, str]) -> "Answer":
        """The same with names of regions, such as ``{3: "left ear"}``: printed, shown and reported with them."""
        return replace(self, focus=self.focus.named(names))

    def table(self) -> Table:
        """The final states with class, probability and score of each; see :meth:`Focus.table`, and
        :func:`captum_focalogic.table` for several answers."""
        return self.focus.table()

    def summary(self) -> dict[str, str]:
        """The answer in a few lines, by label: prediction, enough, without, trust, certificate."""
        said = {"Image": f"{self.title}{_size_text(self.focus)}", **summary(self.focus, self.against, self.grown)}
        return said | {"Prediction": self.said} if self.focus.target is None else said

    def lines(self, most_states: int = 20) -> dict[str, str]:
        """What there is to say, by its label: prediction, formula, final states (smallest first) and certificate."""
        focus, prediction = self.focus, self.prediction
        said = {
            "Image": f"{self.title}{_size_text(focus)}",
            "Model": f"{focus.provenance.model} on {self.device}",
            "Prediction": self.said,
        }
        if isinstance(focus.target, int) and prediction is not None and prediction.index != focus.target:
            said["Explained"] = _class_text(focus.target, focus.target_name)
        said["Regions"] = _regions_text(focus)
        said["Formula"] = focus.formula
        said["Final states"] = _states_text(focus, most_states)
        said["Certificate"] = str(focus.certificate)
        return said

    def __str__(self) -> str:
        indent = " " * _LABEL_WIDTH
        return "\n".join(
            f"{label:<{_LABEL_WIDTH}}{printable_lines(text)}".replace("\n", f"\n{indent}")
            for label, text in self.summary().items()
        )

    def show(self) -> None:
        """Show the headline: here in a notebook, with what is said, else in a window."""
        try:
            from IPython import display, get_ipython
        except ImportError:
            pass
        else:
            if get_ipython() is not None:
                display.display(self)  # type: ignore[no-untyped-call]
                return
        self.headline().show()

    def headline(self) -> Image.Image:
        """The answer at a glance: the strongest sufficient set in its own colours, others, and what cannot go."""
        from captum_focalogic.figures.headline import headline

        self._need_image()
        return headline(self.focus, fill=self.fill, against=self.against, grown=self.grown)

    def overlay(self, *, colour_blind: bool = False) -> Image.Image:
        """All final states in one image: red regions are in every one, white ones in some (the paper's figure 4)."""
        from captum_focalogic.figures.overlays import COLOUR_BLIND, PAPER, overlay

        focus = self._need_image()
        palette = COLOUR_BLIND if colour_blind else PAPER
        image, label_map = np.asarray(focus.image), np.asarray(focus.label_map)
        return overlay(image, label_map, focus.region_ids, focus.final_states, palette=palette)

    def _need_image(self) -> Focus:
        if self.focus.image is None or self.focus.label_map is None:
            raise InputError("this answer is not about an image, so there is none to show")
        return self.focus

    def report(self, path: str | Path, **how: Any) -> Path:
        """Write an interactive page, one HTML file; ``how`` as for :meth:`Focus.report`."""
        focus = self.focus
        settings = {"Model": str(focus.provenance.model), "Device": self.device}
        settings |= removal_setting(focus.provenance.removal, focus.provenance.baseline)
        known = {"title": self.title, "label": focus.target_name, "against": self.against, "settings": settings}
        return focus.report(path, **{**known, **how})

    def serve(self, model: Any, **how: Any) -> Any:
        """Open the page alive, in the regions of this answer: every selection is put to the model itself.

        Parameters
        ----------
        model : nn.Module, callable, or a mapping of these by name
            The one that was explained, as an answer holds none: images (N, 3, H, W) as it saw this one.
        **how
            As for :func:`captum_focalogic.serve`: ``labels``, ``baseline``, further segmenters; a criterion that has
            no words has to be said again.

        Returns
        -------
        LivePage
            Its ``url`` opens the page; ``stop()`` ends it.
        """
        from captum_focalogic.live import serve

        focus = self._need_image()
        made, prediction = focus.provenance, self.prediction
        usual: dict[str, Any] = {
            "segmenter": {"as explained": focus.label_map},
            "removal": made.removal,
            "reading": focus.certificate.reading,
            "against": self.against,
        }
        if made.baseline:
            usual["baseline"] = made.baseline
        if made.criterion and self.against is None:
            usual["criterion"] = made.criterion
        if prediction is not None and focus.target not in (None, prediction.index):
            usual["target"] = str(focus.target)
        return serve(model, focus.image, **{**usual, **how})

    def save(self, path: str | Path) -> None:
        """Write the focus to a file; :meth:`Focus.load` reads it, and ``focalogic verify`` checks it."""
        self.focus.save(path)

    def _repr_html_(self) -> str:
        if self.focus.image is None or self.focus.label_map is None:
            return self.focus._repr_html_()
        from captum_focalogic.report.notebook import answer_html

        return answer_html(self.summary(), self.headline())


def explain_image(
    model: nn.Module | Callable[[Tensor], Any] | Classifier | str,
    image: Any,
    *,
    preprocess: Callable[[Image.Image], Any] | None = None,
    mean: Any = None,
    std: Any = None,
    labels: Sequence[str] | Mapping[Any, str] | str | None = None,
    segmenter: Any = SEGMENTER,
    baseline: Fill = BASELINE,
    removal: Removal = "fill",
    search: str | Strategy = "auto",
    reading: Reading = "smallest",
    criterion: str | AnyCriterion = CRITERION,
    outputs: Outputs = "auto",
    target: int | str | None = None,
    against: int | str | None = None,
    zoom: int = 0,
    max_evaluations: int | None = MAX_EVALUATIONS,
    time_limit: float | None = None,
    perturbations_per_eval: RowsPerCall = "auto",
    seed: int = 0,
    device: str | torch.device = "auto",
    show_progress: bool = False,
) -> Answer:
    """Say which regions of an image are enough for a model's decision.

    Parameters
    ----------
    model : nn.Module, callable, Classifier or str
        Images (N, 3, H, W) in [0, 1], or as ``preprocess`` or ``mean`` and ``std`` normalise them, to one row an image:
        class scores, labels, or one number; or a name, as on the command line ("torchvision:resnet18").
    image : path, Pillow image, array or Tensor
        See :func:`captum_focalogic.images.open_image`.
    preprocess : callable, optional
        The opened image (PIL) to what the model sees of it: the transforms of torchvision's weights or of timm, an
        image processor of transformers, any function. Normalisation is found out and undone for all but the model. By
        default the classifier's own; without one, the model sees the whole image.
    mean, std : float or sequence of float, optional
        What the model takes its images normalised by, each channel, where no preprocessing of its own says it.
    labels : sequence or mapping of str, or str, optional
        Class names, or the name of such a list, "imagenet"; by default the classifier's own.
    segmenter : str, callable, (H, W) integers or masks
        What cuts the image: a name, a function from (3, H, W) in [0, 1] to a label map, or the label map; or masks of
        the image's size, or of what the model sees, as Segment Anything, ``supervision`` and others give them (see
        :func:`captum_focalogic.regions.label_map_of`).
    baseline : str, float, Tensor or callable
        What dropped regions are replaced by: a name such as "mean", a shade of grey, values that broadcast to
        (1, 3, H, W), or a function of such inputs, or of inputs and their feature mask.
    removal : {"fill", "tokens"}
        As for :class:`~captum_focalogic.masked_model.MaskedModel`.
    search, reading, outputs, time_limit
        As for :class:`~captum_focalogic.attributor.FocaLogic`.
    criterion : str, Criterion or callable
        When the decision counts as unchanged. The usual one asks for half of the probability; where the model gives
        none, only for the same answer, which a warning tells.
    target : int or str, optional
        The class to explain, by its number or name; by default the predicted one.
    against : int or str, optional
        Another class, by its number or name: why the target and not this one. A region set is then enough where the
        target keeps at least half of its lead over it (criterion "over:CLASS"); whether it is still the highest class
        is not asked.
    zoom : int
        Levels to zoom in: the regions of the strongest sets are cut into parts, and sets of parts are looked for with
        everything else dropped (:mod:`captum_focalogic.zoom`; ``docs/zoom.md``). What was found stands in
        ``answer.focus.zoom``, the finest level that holds under a second removal in ``answer.focus.zoomed``.
    max_evaluations : int or None
        Most region sets the model is asked about.
    perturbations_per_eval : int or "auto"
        Most images in one call of the model.
    seed : int
        Of searches that draw at random.
    device : str or torch.device
        Where a model given by its name runs: "auto" is a GPU if there is one. A module runs where its weights are, and
        a function on the CPU, unless another device is named.
    show_progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    Answer
        Print it, show it, save it.

    Raises
    ------
    InputError
        If an argument does not fit. What the model raises passes through.
    SearchInterrupt
        After a keyboard interrupt, with the answer as far as it was found.

    Examples
    --------
    >>> from captum_focalogic.demo.scenes import draw_scene
    >>> scene = draw_scene(22, label=1)
    >>> answer = explain_image("demo", scene.image, segmenter=scene.labels)
    >>> answer.prediction.name, answer.focus.formula
    ('red disc and (blue square or green triangle)', 'I1 & (I3 | I4)')
    """
    try:
        (answer,) = explain_images(
            model,
            [image],
            preprocess=preprocess,
            mean=mean,
            std=std,
            labels=labels,
            segmenter=segmenter,
            baseline=baseline,
            removal=removal,
            search=search,
            reading=reading,
            criterion=criterion,
            outputs=outputs,
            target=target,
            against=against,
            zoom=zoom,
            max_evaluations=max_evaluations,
            time_limit=time_limit,
            perturbations_per_eval=perturbations_per_eval,
            seed=seed,
            device=device,
            show_progress=show_progress,
        )
    except SearchInterrupt as interrupt:
        raise SearchInterrupt(interrupt.found[0]) from None
    return answer


def explain_images(
    model: nn.Module | Callable[[Tensor], Any] | Classifier | str,
    images: Sequence[Any],
    *,
    preprocess: Callable[[Image.Image], Any] | None = None,
    mean: Any = None,
    std: Any = None,
    labels: Sequence[str] | Mapping[Any, str] | str | None = None,
    segmenter: Any = SEGMENTER,
    baseline: Fill = BASELINE,
    device: str | torch.device = "auto",
    **how: Any,
) -> list[Answer]:
    """Say for many images which regions are enough; images of one size share the model's batches.

    Takes the arguments of :func:`explain_image`; ``max_evaluations`` is for each image, ``time_limit`` for all
    together.

    Returns
    -------
    list of Answer
        One an image, in order.
    """
    if isinstance(images, str | bytes | Path) or not isinstance(images, Iterable):
        raise InputError(f"images must be several, such as a list of paths; got {images!r}. Of one, take explain_image")
    classifier, place = classifier_of(model, preprocess, Normalisation.stated(mean, std), labels, device)
    sessions = []
    for number, image in enumerate(images):
        title = Path(image).name if isinstance(image, str | Path) else "image" if number == 0 else f"image {number + 1}"
        sessions.append(open_session(classifier, image, segmenter, baseline, place, title=title))
    return explain_sessions(sessions, **how)


def explain_sessions(
    sessions: Sequence[Session],
    *,
    models: Sequence[MaskedModel] | None = None,
    removal: Removal = "fill",
    search: str | Strategy = "auto",
    reading: Reading = "smallest",
    criterion: str | AnyCriterion = CRITERION,
    outputs: Outputs = "auto",
    target: int | str | None = None,
    against: int | str | None = None,
    zoom: int = 0,
    max_evaluations: int | None = MAX_EVALUATIONS,
    time_limit: float | None = None,
    perturbations_per_eval: RowsPerCall = "auto",
    seed: int = 0,
    show_progress: bool = False,
) -> list[Answer]:
    """Explain what is open, in full batches; parameters as for :func:`explain_image`.

    ``models`` are what :func:`masked_models` made of the sessions before, with what they remember.

    Raises
    ------
    SearchInterrupt
        After a keyboard interrupt, with the answers as far as they were found.
    """
    check_reading(search, reading)
    check_bound("max_evaluations", max_evaluations, Integral)
    check_bound("time_limit", time_limit, Real)
    check_levels(zoom)
    deadline = None if time_limit is None else time.monotonic() + time_limit
    if against is not None and sessions:
        criterion = contrast(criterion, against, sessions[0].classifier)

    def strategy(num_regions: int, budget: int | None) -> Strategy:
        found = strategy_for(search, reading, num_regions, budget)
        seeded = isinstance(search, str) and is_dataclass(found) and hasattr(found, "seed")
        return replace(found, seed=seed) if seeded else found  # type: ignore[type-var]

    if models is None:
        models = masked_models(sessions, criterion, outputs, target, removal, perturbations_per_eval)
    shares = [shares_of(max_evaluations, model.num_regions) for model in models]
    with tqdm(desc="FocaLogic attribution", mininterval=0.5, disable=not show_progress) as bar:
        budgets = [coarse_budget(share.search) if zoom else share.search for share in shares]
        results = run_searches(models, strategy, budgets, time_limit, bar.update)
        focuses = [model.focus(result, reading) for model, result in zip(models, results, strict=True)]
        warn_of_emptiness(focuses)
        interrupted = any(result.certificate.stopped == "interrupted" for result in results)
        if zoom and not interrupted:
            most = [share.search for share in shares]
            focuses, _ = zoom_in(models, focuses, zoom, most, deadline=deadline, on_judged=bar.update)
            interrupted = any(was_interrupted(focus) for focus in focuses)
        growths = [None] * len(models) if interrupted else _growths(models, focuses, shares)
        others = [(model.under(Top1()), inquiry) for model, inquiry in zip(models, growths, strict=True) if inquiry]
        examined = [] if interrupted else _examined(sessions, models, focuses, shares, seed, others, bar.update)
        bar.total = bar.n
    answers = [
        replace(_answer(session, model, focus, seed), grown=None if inquiry is None else inquiry.result)
        for session, model, focus, inquiry in zip(sessions, models, examined or focuses, growths, strict=True)
    ]
    if interrupted or len(examined) < len(sessions):
        raise SearchInterrupt(answers)
    return answers


def _growths(
    models: Sequence[MaskedModel], focuses: Sequence[Focus], shares: Sequence[Shares]
) -> list[Inquiry[GrownSets] | None]:
    """The other question, where the explained class is not the prediction: which regions alone are called so."""
    return [
        Inquiry(grown_sets(model.num_regions, share.search))
        if isinstance(model.criterion, Top1 | Top1Ratio)
        and model.kind in (OutputKind.LOGITS, OutputKind.PROBABILITIES, OutputKind.SIGMOIDS)
        and model.prediction is not None
        and model.prediction.top
        and not focus.evaluated.valid[:1].any()
        else None
        for model, focus, share in zip(models, focuses, shares, strict=True)
    ]


def _examined(
    sessions: Sequence[Session],
    models: Sequence[MaskedModel],
    focuses: Sequence[Focus],
    shares: Sequence[Shares],
    seed: int,
    others: Sequence[tuple[MaskedModel, Inquiry[GrownSets]]],
    on_judged: Callable[[int], object],
) -> list[Focus]:
    """The focuses with critical sets and trust, all models asked together; none where an interrupt came between."""
    examinations = [
        Examination(
            model,
            focus,
            share,
            model.filled_otherwise(),
            seed,
            again=not billed(session.classifier.forward),
            label_of=session.classifier.label_of,
        )
        for session, model, focus, share in zip(sessions, models, focuses, shares, strict=True)
    ]
    asked = [*others, *(pair for examination in examinations for pair in examination.inquiries)]
    drive(asked, on_judged)
    if any(inquiry.stopped for _, inquiry in asked):
        return []
    return [examination.focus() for examination in examinations]


def decision_text(session: Session) -> str:
    """What the model says to the whole image, in words."""
    (model,) = masked_models([session], "top1", "auto", None, "fill", "auto")
    return _said(model.references.outputs[model.row], _named(model.prediction, session.classifier))


def named_focus(focus: Focus, session: Session, seed: int | None = None) -> Focus:
    """A focus with what the session knows by name: regions, classes, the model and what it was filled with."""
    classifier = session.classifier
    named = replace(
        focus,
        names=session.names,
        target_name=classifier.label_of(focus.target) if isinstance(focus.target, int) else None,
        prediction=_named(focus.prediction, classifier),
        provenance=replace(
            focus.provenance,
            baseline=session.baseline if focus.provenance.removal == "fill" else None,
            model=classifier.name,
            seed=seed,
        ),
    )
    return with_shared(named)


def _answer(session: Session, model: MaskedModel, focus: Focus, seed: int) -> Answer:
    classifier = session.classifier
    focus = named_focus(model.with_image(focus), session, seed)
    outputs = model.references.outputs[model.row]
    over = model.criterion.other if isinstance(model.criterion, Over) else None
    return Answer(
        focus,
        session.image.title,
        _said(outputs, focus.prediction),
        str(session.device),
        None if over is None else classifier.label_of(over) or f"class {over}",
        _fill_image(session.baselines) if model.removal == "fill" else None,
    )


def _fill_image(baselines: Tensor) -> NDArray[np.uint8] | None:
    """What dropped regions are filled with, as an image; one pixel of it where all are alike."""
    image = image_bytes(baselines[0], stretched=False)
    return image[:1, :1].copy() if image is not None and bool((image == image[:1, :1]).all()) else image


def _named(prediction: Prediction | None, classifier: Classifier) -> Prediction | None:
    """A prediction with the names of its classes."""
    if prediction is None:
        return None
    top = tuple((index, classifier.label_of(index), likely) for index, _, likely in prediction.top)
    return replace(prediction, name=classifier.label_of(prediction.index), top=top)


def _said(outputs: Tensor, prediction: Prediction | None) -> str:
    """A prediction in words."""
    if outputs.dim() > 1 or outputs.numel() == 0:
        return f"an output of shape {tuple(outputs.shape)}"
    if outputs.numel() == 1 and outputs.is_floating_point():
        value = float(outputs.reshape(()))
        yes = value > 0 if prediction is None else prediction.index == 1
        return f"{value:.4g} ({'positive' if yes else 'not positive'})"
    if prediction is None:
        return f"{outputs.numel()} numbers"
    named = _class_text(prediction.index, prediction.name)
    return named if prediction.probability is None else f"{named}, probability {prediction.probability:.3f}"


def _class_text(index: int, name: str | None) -> str:
    return f"class {index}" if name is None else f"{name} (class {index})"


def _size_text(focus: Focus) -> str:
    if focus.label_map is None:
        return ""
    height, width = focus.label_map.shape
    return f", {width}x{height} as the model sees it"


def _regions_text(focus: Focus) -> str:
    if not focus.names:
        return str(focus.num_regions)
    named = ", ".join(f"{symbol(region)} {name}" for region, name in sorted(focus.names.items()))
    others = focus.num_regions - len(focus.names)
    return f"{focus.num_regions}: {named}" + (f"; the other {others} are background" if others else "")


def _states_text(focus: Focus, most: int) -> str:
    count = len(focus.final_states)
    if not count:
        return f"none ({focus.certificate.kind})"
    sizes = focus.final_states.sum(axis=1)
    smallest = int((sizes == sizes.min()).sum())
    least = "the empty one" if not sizes.min() else f"the smallest, of {int(sizes.min())} region(s)"
    lines = [f"{count} {focus.certificate.kind}; {least}:"]
    captions = [f"  {caption}" for caption in state_captions(focus, most)]
    lines.extend(captions[:smallest])
    if count > smallest and len(captions) > smallest:
        lines.append(f"and the rest, of up to {int(sizes.max())} regions:")
        lines.extend(captions[smallest:])
    if count > len(captions):
        lines.append(f"  ... and {count - len(captions):,} more, all in the focus")
    return "\n".join(lines)
