import subprocess
import sys
from collections.abc import Callable

import numpy as np
import oracles
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import region_sets
from sympy.logic.boolalg import Equivalent

from captum_focalogic.demo.check import all_states, check_scene, check_scenes, irreducible
from captum_focalogic.demo.network import load_model
from captum_focalogic.demo.scenes import Scene, draw_scene


class Reader(torch.nn.Module):
    """Sees which objects of one scene are left and names the class of them by a given function."""

    def __init__(self, scene: Scene, judge: Callable[[set[str]], int]) -> None:
        super().__init__()
        self.scene, self.judge = scene, judge

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        whole = torch.from_numpy(self.scene.image)
        scores = torch.zeros(len(images), 3)
        for row, image in enumerate(images):
            left = set()
            for item in self.scene.objects:
                mask = torch.from_numpy(self.scene.labels == item.region)
                if torch.equal(image[:, mask], whole[:, mask]):
                    left.add(str(item.kind))
            scores[row, self.judge(left)] = 1.0
        return scores


def by_the_rule(kinds: set[str]) -> int:
    if "red disc" in kinds and ("blue square" in kinds or "green triangle" in kinds):
        return 1
    return 2 if {"yellow ring", "purple cross"} <= kinds else 0


def by_one_object(kinds: set[str]) -> int:
    return 1 if "red disc" in kinds else 2 if "purple cross" in kinds else 0


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_follows_the_rule_matches(seed: int) -> None:
    scene = draw_scene(seed, 1 + seed % 2)
    check = check_scene(Reader(scene, by_the_rule), scene, "mean")
    assert check.matches
    assert check.wrong_states == 0
    assert Equivalent(check.found, scene.rule).simplify() == sympy.true


def test_a_model_with_a_shortcut_does_not_match() -> None:
    scene = draw_scene(0, 2)
    cross = [item.region for item in scene.objects if str(item.kind) == "purple cross"]
    check = check_scene(Reader(scene, by_one_object), scene)
    assert not check.matches
    assert check.predicted == 2
    assert check.found == sympy.Or(*(sympy.Symbol(f"I{region}") for region in cross))
    assert check.wrong_states > 0


def test_a_wrong_prediction_does_not_match() -> None:
    scene = draw_scene(0, 1)
    check = check_scene(Reader(scene, lambda kinds: 2 * (by_the_rule(kinds) == 1)), scene)
    assert check.predicted == 2
    assert check.wrong_states == 0
    assert not check.matches


def test_all_states_by_hand() -> None:
    assert all_states(2).tolist() == [[False, False], [True, False], [False, True], [True, True]]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5).flatmap(lambda m: st.lists(st.booleans(), min_size=2**m, max_size=2**m)))
def test_irreducible_states_by_brute_force(valid: list[bool]) -> None:
    regions = len(valid).bit_length() - 1
    expected = region_sets(oracles.irreducible(np.array(valid)), range(regions))
    found = {frozenset(np.flatnonzero(all_states(regions)[state]).tolist()) for state in irreducible(np.array(valid))}
    assert found == expected


def test_the_embedded_model_follows_the_rules() -> None:
    checks = check_scenes(load_model(), 25)
    assert all(check.scene.label in (1, 2) for check in checks)
    assert len({check.scene.seed for check in checks}) == 25
    assert sum(check.matches for check in checks) >= 23


def test_the_command_prints_the_share() -> None:
    command = [sys.executable, "-m", "captum_focalogic.demo.check", "--scenes", "2", "--baselines", "black"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("black: the formula equals the rule on ")
    assert " of 2 scenes" in run.stdout
