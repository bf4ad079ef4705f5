"""What is open on the live page: an image, a model and a search that its readers watch, stop and ask beside."""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from captum_focalogic.answer import MAX_EVALUATIONS, Answer, explain_sessions
from captum_focalogic.arrays import Labels
from captum_focalogic.baselines import baseline_from_text
from captum_focalogic.classifier import Classifier, find_classifier
from captum_focalogic.errors import FocaLogicError, InputError, SearchInterrupt, hearing
from captum_focalogic.images import open_image
from captum_focalogic.oracle import AnyCriterion, AutoBatching, Turns
from captum_focalogic.oracle.forward import raised_by_model
from captum_focalogic.provenance import Removal
from captum_focalogic.search import READINGS, Reading
from captum_focalogic.search import states as st
from captum_focalogic.segmenters import Segmenter, segmenter_from_text
from captum_focalogic.session import (
    BASELINE,
    CRITERION,
    SEGMENTER,
    Session,
    contrast,
    masked_models,
    open_session,
    place_of,
)
from captum_focalogic.zoom import MAX_LEVELS

LONGEST_BATCH = 0.15
"""Seconds that a batch of a search may take: what somebody waits who clicks meanwhile."""

MOST_CASES = 8
"""Cases that one reader has open; the oldest is closed for a further one."""

MOST_ASKED = 64
"""Region sets in one question."""

_NUMBERS = {"zoom": (0, MAX_LEVELS), "max_evaluations": (1, 100_000)}
"""The least and the most of settings that are numbers."""


@dataclass(frozen=True)
class Settings:
    """How an image is explained; the arguments of :func:`~captum_focalogic.answer.explain_image` by their names."""

    model: str
    segmenter: str = SEGMENTER
    baseline: str = BASELINE
    removal: Removal = "fill"
    reading: Reading = "smallest"
    criterion: str = CRITERION
    target: str | None = None
    against: str | None = None
    zoom: int = 0
    max_evaluations: int = MAX_EVALUATIONS


@dataclass(frozen=True)
class Choices:
    """What readers may choose among; they never name code.

    Attributes
    ----------
    models : mapping of str to Classifier or None
        By name; None is found by its name when it is first asked.
    segmenters : mapping of str to str, callable or label map
        What cuts the image, by what it is called here; the first unless a reader chooses another.
    baselines, removals : sequence of str
        By name, likewise.
    device : torch.device
        Where models found by name run.
    """

    models: Mapping[str, Classifier | None]
    segmenters: Mapping[str, str | Segmenter | Labels] = field(default_factory=lambda: {SEGMENTER: SEGMENTER})
    baselines: Sequence[str] = (BASELINE,)
    removals: Sequence[Removal] = ("fill",)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def settings(self, chosen: Mapping[str, Any], before: Settings | None = None) -> Settings:
        """Settings that somebody chose, the rest as before.

        Raises
        ------
        InputError
            If something chosen is not on offer, or no setting.
        """
        start = before or Settings(
            next(iter(self.models)), next(iter(self.segmenters)), self.baselines[0], self.removals[0]
        )
        changes: dict[str, Any] = {}
        offered = {
            "model": self.models,
            "segmenter": self.segmenters,
            "baseline": self.baselines,
            "removal": self.removals,
            "reading": READINGS,
        }
        for name, value in chosen.items():
            if name in offered:
                if not isinstance(value, str) or value not in offered[name]:
                    said = f"{name} {_short(value)} is not on offer"
                    raise InputError(f"{said}; choose one of {', '.join(offered[name])}")
                changes[name] = value
            elif name in ("criterion", "target", "against"):
                if not isinstance(value, str | None) or len(value or "") > 200:
                    raise InputError(f"{name} must be a short text; got {type(value).__name__}")
                changes[name] = (value or "").strip() or (CRITERION if name == "criterion" else None)
            elif name in _NUMBERS:
                least, most = _NUMBERS[name]
                if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                    raise InputError(f"{name} must be a whole number from {least} to {most:,}; got {_short(value)}")
                changes[name] = value
            else:
                raise InputError(f"there is no setting {_short(name)}")
        return replace(start, **changes)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image as it came, for any model to look at.

    Attributes
    ----------
    source : bytes or PIL.Image.Image
        What it is opened from, anew for each case: packed it takes a fraction of the memory.
    title : str
        What it is called.
    file : str or None
        Its file, where there is one.
    """

    source: bytes | Image.Image
    title: str
    file: str | None = None

    @classmethod
    def of(cls, image: Any, title: str = "image") -> "Picture":
        """Of what :func:`~captum_focalogic.images.open_image` takes, which is opened to see that it can be."""
        opened = open_image(image)
        if isinstance(image, str | Path):
            return cls(Path(image).read_bytes(), Path(image).name, str(image))
        return cls(opened, title)


@dataclass(frozen=True)
class Progress:
    """How far a search is."""

    state: str
    asked: int
    best: list[bool] | None
    regions: int
    share: float
    probability: float | None


class Case:
    """One image under one model, in one partition: what was found, and the model to ask.

    Parameters
    ----------
    settings : Settings
        How it is explained.
    session : Session
        What is open.
    turns : Turns
        Shared by all who ask models here.
    picture : Picture
        The image as it came, for another model to look at.
    by_name : collection of str
        Which of "model" and "segmenter" anybody finds by the name in the settings.

    Raises
    ------
    InputError
        If a setting does not fit the model. What the model raises passes through.
    """

    def __init__(
        self,
        settings: Settings,
        session: Session,
        turns: Turns,
        picture: Picture,
        by_name: Collection[str] = (),
    ) -> None:
        self.key = secrets.token_urlsafe(9)
        self.settings, self.session, self.picture, self.by_name = settings, session, picture, by_name
        self.warnings: list[str] = []
        self.watchers = 0
        self.beside: Case | None = None
        self.state, self.message = "searching", ""
        self._turns = turns
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        criterion: str | AnyCriterion = settings.criterion
        if settings.against is not None:
            criterion = contrast(criterion, settings.against, session.classifier)
        batching = AutoBatching(on_cpu=session.device.type == "cpu", layouts=True, longest=LONGEST_BATCH)
        with turns.urgent():
            (self.model,) = masked_models([session], criterion, "auto", settings.target, settings.removal, batching)
        self.answer = self._first()

    @property
    def model_name(self) -> str:
        """What the model is called."""
        return self.settings.model

    @property
    def shown(self) -> "list[Case]":
        """What the page shows: this, and the one beside it."""
        return [self] if self.beside is None else [self, self.beside]

    def start(self) -> None:
        """Search in a thread of its own."""
        self._thread = threading.Thread(target=self._search, name=f"search {self.key}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the search with what it has."""
        self._stopped.set()

    def wait(self) -> None:
        """Wait for its end."""
        if self._thread is not None:
            self._thread.join()

    def ask(self, states: Any) -> list[dict[str, Any]]:
        """What the model says with these regions kept, before any search goes on.

        Parameters
        ----------
        states : list of list of bool
            One row a region set, one column a region.

        Returns
        -------
        list of dict
            For each: ``valid``, ``probability`` of the explained class, and ``top``: class, name and probability.

        Raises
        ------
        InputError
            If the states are none. What the model raises passes through.
        """
        if not isinstance(states, list) or not 1 <= len(states) <= MOST_ASKED:
            raise InputError(f"ask about 1 to {MOST_ASKED} region sets at once")
        rows = [row for row in states if isinstance(row, list) and len(row) == self.model.num_regions]
        if len(rows) < len(states) or not all(isinstance(kept, bool) for row in rows for kept in row):
            raise InputError(f"a region set is a list of {self.model.num_regions} booleans, one a region")
        with self._turns.urgent():
            answers = self.model.ask(np.array(rows, dtype=np.bool_))
        label_of = self.session.classifier.label_of
        return [
            {
                "valid": bool(answers.valid[row]),
                "probability": _number(answers.probability[row]),
                "top": [
                    {"index": index, "name": label_of(index) or f"class {index}", "share": _number(share)}
                    for index, share in zip(
                        answers.top[row, :3].tolist(), answers.top_probability[row, :3].tolist(), strict=True
                    )
                ],
            }
            for row in range(len(rows))
        ]

    def progress(self) -> Progress:
        """How far the search is, with the best set that was seen so far."""
        model = self.model
        valid = model.memory.valid_states(model.key)
        if not len(valid):
            return Progress(self.state, len(model.memory), None, 0, 0.0, None)
        kept = st.unpack(valid, model.num_regions)
        areas = kept @ model.areas
        best = int(np.lexsort((areas, kept.sum(axis=1)))[0])
        answers = model.answers(valid[best : best + 1])
        return Progress(
            self.state,
            len(model.memory),
            kept[best].tolist(),
            int(kept[best].sum()),
            float(areas[best]),
            _number(answers.probability[0]),
        )

    def _search(self) -> None:
        state = "done"
        with hearing() as heard:
            try:
                with self._turns.patient(self._stopped):
                    (self.answer,) = self._explain(self.settings.max_evaluations)
            except SearchInterrupt as interrupt:
                (self.answer,), state = interrupt.found, "stopped"
            except KeyboardInterrupt:
                # It came where nothing more than the whole image is known to be kept.
                state = "stopped"
            except Exception as error:
                self.message, state = told(error), "failed"
        self.warned(heard)
        self.state = state

    def warned(self, heard: Iterable[str]) -> None:
        """Keep what there is to warn of, each once."""
        self.warnings = list(dict.fromkeys([*self.warnings, *heard]))

    def _first(self) -> Answer:
        """What is known before anything but the whole image was asked."""
        # Nothing was searched yet; what there is to warn of is said when it was.
        with self._turns.urgent(), hearing():
            (answer,) = self._explain(1)
        return answer

    def _explain(self, most: int) -> list[Answer]:
        how: dict[str, Any] = {"reading": self.settings.reading, "zoom": 0 if most == 1 else self.settings.zoom}
        return explain_sessions([self.session], models=[self.model], max_evaluations=most, **how)


class Reader:
    """One person's cases, one search at a time."""

    def __init__(self) -> None:
        self.key = secrets.token_urlsafe(9)
        self._cases: OrderedDict[str, Case] = OrderedDict()
        self._lock = threading.Lock()

    def case(self, key: str) -> Case | None:
        """One of them, those beside others included; None if it is not, or no longer, open."""
        with self._lock:
            return next((one for one in self._shown() if one.key == key), None)

    def add(self, case: Case) -> None:
        """Open a case; whatever was searched for before is stopped."""
        with self._lock:
            for other in self._shown():
                other.stop()
            self._cases[case.key] = case
            while len(self._cases) > MOST_CASES:
                self._cases.popitem(last=False)
        for one in case.shown:
            one.start()

    @property
    def held(self) -> int:
        """Bytes of images and answers that are kept for this person."""
        with self._lock:
            cases = self._shown()
        pictures = {id(case.picture): case.picture.source for case in cases}.values()
        answers = sum(case.model.memory.held for case in cases)
        return answers + sum(len(one) for one in pictures if isinstance(one, bytes))

    def close(self) -> None:
        """Stop everything, and wait for its end."""
        with self._lock:
            cases = self._shown()
        for case in cases:
            case.stop()
        for case in cases:
            case.wait()

    def _shown(self) -> list[Case]:
        return [one for case in self._cases.values() for one in case.shown]


class Desk:
    """Opens cases with what is on offer; models are found once, and one thread at a time asks any of them."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.turns = Turns()
        self._found = {name: given for name, given in choices.models.items() if given is not None}
        self._lock, self._opening = threading.Lock(), threading.Lock()

    def classifier(self, name: str) -> Classifier:
        """A model on offer; one that was given stays as it is and where it is.

        Raises
        ------
        InputError
            If it fails to load.
        """
        with self._lock:
            if name not in self._found:
                self._found[name] = replace(find_classifier(name), name=name).to(self.choices.device)
            return self._found[name]

    def check(self) -> None:
        """Find everything that is on offer, so that what is misspelt is told before anybody comes.

        Raises
        ------
        InputError
            If something cannot be found.
        """
        for segmenter in self.choices.segmenters.values():
            if isinstance(segmenter, str):
                segmenter_from_text(segmenter)
        for name in self.choices.baselines:
            baseline_from_text(name)
        for name in self.choices.models:
            self.classifier(name)

    def open(self, picture: Picture, settings: Settings) -> Case:
        """A case about an image.

        Raises
        ------
        InputError
            If something does not fit. What the model raises passes through.
        """
        return self._case(picture, settings, self.choices.segmenters[settings.segmenter])

    def again(self, case: Case, settings: Settings) -> Case:
        """The same image under other settings."""
        return self.open(case.picture, settings)

    def set_beside(self, case: Case, model: str) -> Case:
        """The same image and regions under two models.

        Raises
        ------
        InputError
            If the models do not see the same part of the image, or it is not known which, so that regions have no
            counterpart.
        """
        picture, regions = case.picture, case.session.label_map
        one = self._case(picture, case.settings, regions)
        seen_so = counterpart(
            regions, self.classifier(case.settings.model), self.classifier(model), one.session.image.size
        )
        one.beside = self._case(picture, replace(case.settings, model=model, target=None), seen_so)
        # Its regions are those of the other one.
        one.beside.by_name = set(one.beside.by_name) - {"segmenter"}
        return one

    def _case(self, picture: Picture, settings: Settings, regions: str | Segmenter | Labels) -> Case:
        classifier, found = self.classifier(settings.model), self.choices.models[settings.model] is None
        device = self.choices.device if found else place_of(classifier.forward)
        named = {"model"} if found else set()
        if isinstance(self.choices.segmenters[settings.segmenter], str):
            named.add("segmenter")
        with self.turns.urgent(), hearing() as heard:
            # One image at a time is unpacked.
            with self._opening:
                image = open_image(picture.source)
                session = open_session(classifier, image, regions, settings.baseline, device, title=picture.title)
            case = Case(settings, session, self.turns, picture, named)
        case.warned(heard)
        return case


def counterpart(regions: Labels, first: Classifier, other: Classifier, size: tuple[int, int]) -> Labels:
    """Regions that one classifier sees of an image of a size (width, height), as another one sees them.

    Each pixel that the other one sees has the region of the nearest pixel of the image that the first one sees.

    Raises
    ------
    InputError
        If the other one sees more of the image than the first, or it is not known what they see.
    """
    if first.preprocess is other.preprocess:
        return regions
    if first.preprocess_labels is None or other.preprocess_labels is None:
        raise InputError("what both models see of the image is not known, so that regions have no counterpart")
    width, height = size
    pixels = np.arange(width * height).reshape(height, width)
    own, its = first.preprocess_labels(pixels), other.preprocess_labels(pixels)
    ids, unseen = np.zeros(width * height, dtype=np.int64), np.ones(width * height, dtype=np.bool_)
    ids[own.ravel()], unseen[own.ravel()] = regions.ravel(), False
    far, (rows, columns) = ndimage.distance_transform_edt(unseen.reshape(height, width), return_indices=True)
    if far.ravel()[its].max() > 2 * max(size) / min(own.shape):
        raise InputError("the models see different parts of the image, so that not every region has a counterpart")
    nearest: Labels = ids.reshape(height, width)[rows, columns].ravel()[its]
    return nearest


def told(error: BaseException) -> str:
    """An exception in a sentence for whoever reads the page."""
    if isinstance(error, FocaLogicError):
        return str(error)
    lines = str(error).strip().splitlines()
    said = f"{type(error).__name__}{f': {lines[0]}' if lines else ''}"
    return f"the model raised {said}" if raised_by_model(error) else said


def _short(value: Any) -> str:
    """Something that somebody sent, no longer than a message may be."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]} ..."


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
