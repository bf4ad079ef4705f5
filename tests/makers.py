"""Things that tests need: focuses of models whose every answer is known, photos, and what is read back from files.

Nothing here loads torch, so that tests of what does without it can use it.
"""

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from captum_focalogic.focus import Focus
from captum_focalogic.search import Exhaustive, Strategy, enumerate_final_states
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Certificate
from captum_focalogic.search.record import Evaluated

IDS = np.array([-3, 0, 2, 7, 11, 12])
LABELS = np.repeat(np.repeat(IDS.reshape(2, 3), 16, axis=0), 16, axis=1)
"""Six square regions, 32 x 48 pixels."""
IMAGE = np.stack(np.broadcast_arrays(*np.ogrid[0:1:32j, 0:1:48j], 0.5)).astype(np.float32)


def focus_by(
    holds: Callable[[dict[int, bool]], bool],
    ids: np.ndarray = IDS,
    *,
    strategy: Strategy | None = None,
    scored: bool = True,
    **more: Any,
) -> Focus:
    """The focus of a model that keeps its decision where ``holds`` is true of {region id: kept}."""

    def predicate(states: np.ndarray) -> Any:
        valid = np.array([holds(dict(zip(ids.tolist(), row.tolist(), strict=True))) for row in states], dtype=bool)
        return (valid, (0.25 + 0.5 * valid + 0.01 * states.sum(axis=1)).astype(np.float32)) if scored else valid

    result = enumerate_final_states(predicate, len(ids), strategy or Exhaustive())
    more.setdefault("label_map", LABELS if ids is IDS else None)
    return Focus(
        region_ids=ids,
        areas=np.full(len(ids), 1 / len(ids)),
        final_states=result.final_states,
        certificate=result.certificate,
        evaluated=result.evaluated,
        target=more.pop("target", 4),
        **more,
    )


def rule(kept: dict[int, bool]) -> bool:
    """Region 0, and 7 or both of -3 and 2: monotone."""
    return kept[0] and (kept[7] or (kept[-3] and kept[2]))


def moody_rule(kept: dict[int, bool]) -> bool:
    """The same, but 11 without 12 disturbs: not monotone."""
    return rule(kept) and not (kept[11] and not kept[12])


def graph_labels(svg: bytes) -> list[str]:
    """The labels of a drawn graph's nodes, lines of one node joined."""
    space = "{http://www.w3.org/2000/svg}"
    nodes = ET.fromstring(svg).iter(f"{space}g")
    return ["".join(t.text or "" for t in g.findall(f".//{space}text")) for g in nodes if g.get("class") == "node"]


REPOSITORY = Path(__file__).parents[1]


def start_python(code: str, *arguments: str) -> "subprocess.Popen[str]":
    """Run Python code in a process of its own, one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{REPOSITORY}:{Path(__file__).parent}"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def kill_process(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


PHOTO_SIDE = 224


def draw_photos(folder: Path, count: int, classes: tuple[str, ...] = ("tench", "goldfish")) -> Path:
    """Discs of one colour a class on a smooth background, as large as classifiers see: PNG, a subfolder a class."""
    down, across = np.mgrid[:PHOTO_SIDE, :PHOTO_SIDE]
    for number in range(count):
        pixels = np.stack([60 + down // 4, 60 + across // 4, 90 + 0 * down], axis=-1)
        pixels[_disc(number)] = (220, 40, 30) if number % len(classes) == 0 else (30, 60, 220)
        _save_photo(pixels, folder, number, classes)
    return folder


def draw_photo_masks(folder: Path, count: int, classes: tuple[str, ...] = ("tench", "goldfish")) -> Path:
    """The discs of :func:`draw_photos`, in files of the same names."""
    for number in range(count):
        _save_photo(np.where(_disc(number), 255, 0), folder, number, classes)
    return folder


def _disc(number: int) -> np.ndarray:
    down, across = np.mgrid[:PHOTO_SIDE, :PHOTO_SIDE]
    return (down - 90 - 10 * number) ** 2 + (across - 110) ** 2 < 60**2


def _save_photo(pixels: np.ndarray, folder: Path, number: int, classes: tuple[str, ...]) -> None:
    path = folder / classes[number % len(classes)] / f"{number:03d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def focus_of(
    states: Any,
    region_ids: Sequence[int],
    reading: str = "irreducible",
    complete: str = "yes",
    areas: Any = None,
    **more: Any,
) -> Focus:
    """A focus with these final states, which nobody searched for: rows of region ids, or a bool matrix."""
    count = len(region_ids)
    if not isinstance(states, np.ndarray):
        states = np.array([[region in state for region in region_ids] for state in states], dtype=bool)
    kept = states.reshape(-1, count)
    certificate = Certificate(
        strategy="by hand",
        reading=reading,  # type: ignore[arg-type]
        num_regions=count,
        evaluations=len(kept),
        batches=1,
        irreducible=True,
        complete=complete,  # type: ignore[arg-type]
    )
    evaluated = Evaluated(
        st.pack(kept), np.ones(len(kept), bool), np.full(len(kept), 0.5, np.float32), count, len(kept)
    )
    areas = np.full(count, 1 / count) if areas is None else np.asarray(areas)
    return Focus(np.array(region_ids), areas, kept, certificate, evaluated, **more)


QUARTERS = np.repeat(np.repeat([[1, 2], [3, 4]], 12, axis=0), 12, axis=1)
"""Four square regions, 24 x 24 pixels."""
QUARTER_PIXELS = np.dstack([QUARTERS * 50, 255 - QUARTERS * 50, np.full_like(QUARTERS, 90)]).astype(np.uint8)


def quarter_focus(holds: Callable[[dict[int, bool]], bool], **more: Any) -> Focus:
    """The focus of a model of the four quarters, with its image."""
    more = {"label_map": QUARTERS, "image": QUARTER_PIXELS, "target": 1, **more}
    return focus_by(holds, np.array([1, 2, 3, 4]), scored=False, **more)


def one_and_another(kept: dict[int, bool]) -> bool:
    """I1 & (I2 | I3)."""
    return kept[1] and (kept[2] or kept[3])


def said(out: str, label: str) -> list[str]:
    """The lines that a command prints behind a label."""
    lines = out.splitlines()
    start = next(number for number, line in enumerate(lines) if line[:13].strip() == label)
    end = next((number for number in range(start + 1, len(lines)) if lines[number][:13].strip()), len(lines))
    return [line[13:] for line in lines[start:end]]


def run_command(*arguments: object) -> int:
    """What ``focalogic`` exits with, run in this process."""
    from captum_focalogic.cli import main

    try:
        main([str(argument) for argument in arguments])
    except SystemExit as left:
        return int(left.code or 0)
    raise AssertionError("the command did not exit")


def examined(focus: Focus, needed: bool = True) -> Focus:
    """The focus with critical sets and trust: its first region is critical, and the last two together."""
    from captum_focalogic.search.critical import CriticalSets
    from captum_focalogic.trust import Repeats, SecondFill, Share, Trust

    states = np.zeros((2, focus.num_regions), dtype=bool)
    states[0, 1] = states[1, -2:] = True
    critical = CriticalSets(
        states=states,
        predicted=np.array([2, 4]),
        probability=np.array([0.1, 0.2], dtype=np.float32),
        needed=np.array([needed, False]),
        valid_asked=17,
        asked=21,
        complete_up_to=2,
        names=("kite", None),
    )
    fill = SecondFill("black", ((0, 7), (-3, 0, 2)), (True, False))
    trust = Trust(Share(0.9, 0.8, 0.95, 60), Share(0.7, 0.6, 0.8, 120), 0.4, fill, Repeats(9, 0))
    return replace(focus, critical=critical, trust=trust)


def answered(focus: Focus, states: np.ndarray, valid: Sequence[bool]) -> Focus:
    """The focus with answers beside the search: classes 4 (kite) and 5, and a third."""
    first = np.where(valid, 4, 5)
    top = np.stack([first, 9 - first, np.full(len(states), 8)], axis=1)
    further = Evaluated(
        packed=st.pack(states),
        valid=np.asarray(valid),
        score=np.full(len(states), np.nan, dtype=np.float32),
        num_regions=focus.num_regions,
        total=len(states),
        predicted=first,
        probability=np.where(valid, 0.75, 0.2).astype(np.float32),
        top=top,
        top_probability=np.tile(np.array([0.75, 0.2, 0.05], dtype=np.float32), (len(states), 1)),
        class_names={4: "kite", 5: "<b>drake</b>"},
    )
    return replace(focus, further=further)


def save_half_objects(folder: Path, counts: Mapping[str, int], side: int) -> Path:
    """Images of coloured squares in data/CLASS, and beside them masks/CLASS: the left half is the object."""
    draws = np.random.default_rng(0)
    mask = np.zeros((side, side), dtype=np.uint8)
    mask[:, : side // 2] = 255
    for name, count in counts.items():
        for place in range(count):
            pixels = np.kron(draws.integers(0, 256, (8, 8, 3)), np.ones((side // 8, side // 8, 1))).astype(np.uint8)
            for root, image in (("data", Image.fromarray(pixels)), ("masks", Image.fromarray(mask))):
                (folder / root / name).mkdir(parents=True, exist_ok=True)
                image.save(folder / root / name / f"{place}.png")
    return folder
