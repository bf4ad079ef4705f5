"""Does the explanation say what is true? ``python -m captum_focalogic.demo.check --scenes 200``.

The rule behind an embedded scene is known. Here the embedded model is asked about every subset of a scene's regions,
its irreducible final states are found from that table by the definition, and their formula is compared with the rule.
This is deliberately brute force and uses none of the package's search, so that it can stand beside it.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sympy
import torch
from sympy.logic.boolalg import Boolean
from torch import nn
from tqdm import tqdm

from captum_focalogic.demo.batches import BASELINES, baseline
from captum_focalogic.demo.network import WEIGHTS, load_model
from captum_focalogic.demo.rules import CLASS_NAMES
from captum_focalogic.demo.scenes import Scene, draw_scene

_CHUNK = 64


@dataclass(frozen=True, eq=False)
class SceneCheck:
    """What the model does on one scene, against the rule.

    Attributes
    ----------
    scene : Scene
    predicted : int
        The model's class for the whole scene.
    final_states : ndarray of bool, shape (S, M)
        Irreducible final states of the prediction; column j is region j + 1.
    matches : bool
        Whether the prediction is right and the final states' formula is equivalent to the scene's rule.
    wrong_states : int
        Out of 2^M states, those on which "the prediction is unchanged" differs from what the rule says.
    """

    scene: Scene
    predicted: int
    final_states: npt.NDArray[np.bool_]
    matches: bool
    wrong_states: int

    @property
    def found(self) -> Boolean:
        """The final states as a formula over ``Symbol("I<region>")``, absorbed but not factored."""
        minimal = [s for s in self.final_states if not any((t < s).any() and (t <= s).all() for t in self.final_states)]
        return sympy.Or(*(sympy.And(*(sympy.Symbol(f"I{j + 1}") for j in np.flatnonzero(s))) for s in minimal))


def check_scene(model: nn.Module, scene: Scene, fill: str = "black") -> SceneCheck:
    """Compare the model's logic on a scene with the scene's rule.

    Parameters
    ----------
    model : nn.Module
        Images (N, 3, H, W) in [0, 1] to class scores (N, C).
    scene : Scene
    fill : str
        What stands in for regions that are taken away: a name in ``BASELINES``.

    Returns
    -------
    SceneCheck
    """
    states = all_states(int(scene.labels.max()))
    answers = _ask(model, scene, states, fill)
    unchanged = answers == answers[-1]
    final = irreducible(unchanged)
    true = _rule_holds(scene, states)
    same = bool(np.array_equal(_implied(states, states[final]), true))
    return SceneCheck(
        scene=scene,
        predicted=int(answers[-1]),
        final_states=states[final],
        matches=same and int(answers[-1]) == scene.label,
        wrong_states=int((unchanged != true).sum()),
    )


def all_states(regions: int) -> npt.NDArray[np.bool_]:
    """Every subset of so many regions, shape (2^M, M): column j of row i is bit j of i."""
    rows = np.arange(2**regions)[:, None]
    kept: npt.NDArray[np.bool_] = (rows >> np.arange(regions)) & 1 == 1
    return kept


def _ask(model: nn.Module, scene: Scene, states: npt.NDArray[np.bool_], fill: str) -> npt.NDArray[np.int64]:
    image = torch.from_numpy(scene.image)[None]
    filling = baseline(fill, image, torch.Generator().manual_seed(scene.seed))
    region = torch.from_numpy(scene.labels) - 1
    answers = []
    for start in range(0, len(states), _CHUNK):
        here = torch.from_numpy(states[start : start + _CHUNK])[:, region]
        images = torch.where(here[:, None], image, filling).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            answers.append(model(images).argmax(dim=1).numpy())
    return np.concatenate(answers).astype(np.int64)


def _children(state: int) -> Iterator[int]:
    left = state
    while left:
        lowest = left & -left
        yield state ^ lowest
        left ^= lowest


def irreducible(valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Irreducible final states from a complete table of verdicts.

    Parameters
    ----------
    valid : ndarray of bool, shape (2^M,)
        Verdict on the state whose bits are the index.

    Returns
    -------
    ndarray of int64, shape (S,)
        States reached from the full one through valid deletions that have no valid child, ascending.
    """
    full = len(valid) - 1
    final: list[int] = []
    level = {full} if valid[full] else set()
    while level:
        nearest = {state: [child for child in _children(state) if valid[child]] for state in level}
        final.extend(state for state, children in nearest.items() if not children)
        level = {child for children in nearest.values() for child in children}
    return np.array(sorted(final), dtype=np.int64)


def _implied(states: npt.NDArray[np.bool_], final: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether each state contains one of the final ones, which is when their formula is true."""
    holds = np.zeros(len(states), dtype=np.bool_)
    for needed in final:
        holds |= states[:, needed].all(axis=1)
    return holds


def _rule_holds(scene: Scene, states: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    symbols = [sympy.Symbol(f"I{j + 1}") for j in range(states.shape[1])]
    return np.broadcast_to(sympy.lambdify(symbols, scene.rule, "numpy")(*states.T), len(states))


def check_scenes(
    model: nn.Module, count: int, fill: str = "black", first_seed: int = 0, show_progress: bool = False
) -> list[SceneCheck]:
    """Check the first `count` scenes from a seed on whose class is not "other"."""
    checks: list[SceneCheck] = []
    scenes = (scene for scene in map(draw_scene, itertools.count(first_seed)) if scene.label != 0)
    for scene in tqdm(itertools.islice(scenes, count), total=count, desc=fill, disable=not show_progress):
        checks.append(check_scene(model, scene, fill))
    return checks


def _report(checks: list[SceneCheck], fill: str, shown: int) -> str:
    failed = [check for check in checks if not check.matches]
    states = sum(2 ** int(check.scene.labels.max()) for check in checks)
    wrong = sum(check.wrong_states for check in checks)
    lines = [
        f"{fill}: the formula equals the rule on {len(checks) - len(failed)} of {len(checks)} scenes "
        f"({1 - len(failed) / len(checks):.1%}); the model errs on {wrong} of {states} states ({wrong / states:.3%})"
    ]
    for check in failed[:shown]:
        kinds = ", ".join(f"I{item.region} {item.kind}" for item in check.scene.objects)
        lines.append(f"  seed {check.scene.seed} ({CLASS_NAMES[check.scene.label]}): {kinds}")
        lines.append(f"    predicted {CLASS_NAMES[check.predicted]}; wrong on {check.wrong_states} states")
        lines.append(f"    rule  {check.scene.rule}")
        lines.append(f"    found {check.found}")
    return "\n".join(lines)


def main() -> None:
    """Print the share of scenes on which the formula equals the rule, and the cases in which it does not."""
    parser = argparse.ArgumentParser(description="Compare the embedded model's logic with the scenes' rules.")
    parser.add_argument("--scenes", type=int, default=200, help="number of scenes whose class is not 'other'")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--baselines", nargs="+", choices=list(BASELINES), default=["black", "mean"])
    parser.add_argument("--shown", type=int, default=5, help="how many failures to show for each baseline")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    model = load_model(options.weights)
    for fill in options.baselines:
        checks = check_scenes(model, options.scenes, fill, options.first_seed, show_progress=True)
        print(_report(checks, fill, options.shown))


if __name__ == "__main__":
    main()
