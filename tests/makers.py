"""Things that tests need: focuses of models whose every answer is known, and what is read back from files."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np

from captum_focalogic.focus import Focus
from captum_focalogic.search import Exhaustive, enumerate_final_states

IDS = np.array([-3, 0, 2, 7, 11, 12])
LABELS = np.repeat(np.repeat(IDS.reshape(2, 3), 16, axis=0), 16, axis=1)
"""Six square regions, 32 x 48 pixels."""

IMAGE = np.stack(np.broadcast_arrays(*np.ogrid[0:1:32j, 0:1:48j], 0.5)).astype(np.float32)


def focus_by(holds: Callable[[dict[int, bool]], bool], ids: np.ndarray = IDS, **more: Any) -> Focus:
    """The focus of a model that keeps its decision where ``holds`` is true of {region id: kept}."""

    def predicate(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        valid = np.array([holds(dict(zip(ids.tolist(), row.tolist(), strict=True))) for row in states], dtype=bool)
        return valid, (0.25 + 0.5 * valid + 0.01 * states.sum(axis=1)).astype(np.float32)

    result = enumerate_final_states(predicate, len(ids), Exhaustive())
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
