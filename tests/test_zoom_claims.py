from dataclasses import replace

import numpy as np
import pytest
import torch
from test_zoom import SIZE, Needs, mask_of, quarters, zoomed

from captum_focalogic import Focus
from captum_focalogic.verify import verify


@pytest.fixture(scope="module")
def model():
    return Needs(mask_of([(2, 3), (15, 4)]), mask_of([(2, 3), (17, 20)]))


@pytest.fixture(scope="module")
def focus(model):
    found, _ = zoomed(model, quarters(), levels=2)
    return found


def checked(model, focus):
    image = torch.ones(1, 3, SIZE, SIZE)
    return verify(focus, model, image, baselines=torch.full_like(image, 0.5))


def failed(model, focus):
    return [claim.text for claim in checked(model, focus).claims if claim.holds is False]


def with_level(focus, number, **changes):
    levels = list(focus.zoom.levels)
    own = {name: value for name, value in changes.items() if name in ("holds", "within")}
    of_focus = {name: value for name, value in changes.items() if name not in own}
    levels[number] = replace(levels[number], focus=replace(levels[number].focus, **of_focus), **own)
    return replace(focus, zoom=replace(focus.zoom, levels=tuple(levels)))


def test_an_honest_zoom_holds_as_it_is_and_from_its_file(model, focus):
    for each in (focus, Focus.from_json(focus.to_json())):
        found = checked(model, each)
        assert found.holds
        texts = [claim.text for claim in found.claims if claim.holds]
        for number in (1, 2):
            assert sum(text.startswith(f"level {number}:") for text in texts) >= 6
    assert any("zoom" in said for said in checked(model, focus).unchecked)


def test_sets_that_are_not_enough_or_too_large_fail(model, focus):
    states = focus.zoom.levels[1].focus.final_states.copy()
    fewer, more = states.copy(), states.copy()
    fewer[0, np.flatnonzero(states[0])[0]] = False
    inside = np.isin(focus.zoom.levels[1].focus.region_ids, focus.zoom.levels[1].within)
    more[0, np.flatnonzero(inside & ~states[0])[0]] = True
    assert "level 2: every final state keeps the prediction under both removals" in failed(
        model, with_level(focus, 1, final_states=fewer)
    )
    assert "level 2: no final state can spare a region under both removals" in failed(
        model, with_level(focus, 1, final_states=more)
    )


def test_a_set_that_falls_under_the_second_removal_is_not_told_to_hold(model, focus):
    class Dark(Needs):
        def forward(self, images):
            outputs = super().forward(images)
            outputs[(images.mean(dim=1) == 0).flatten(1).sum(dim=1) > 10, 1] = -3.0
            return outputs

    texts = failed(Dark(*model.alternatives), focus)
    assert "with black the strongest final states fare as is said" in texts
    assert "level 1: every final state keeps the prediction under both removals" in texts


def test_what_a_level_is_relative_to_is_checked(model, focus):
    level = focus.zoom.levels[1]
    others = sorted(set(level.focus.region_ids.tolist()) - set(level.within))
    everything = tuple(level.focus.region_ids.tolist())
    text = "level 2: it is about parts of what the level before kept, all else dropped"
    assert others
    assert text in failed(model, with_level(focus, 1, within=everything))
    assert text in failed(model, with_level(focus, 1, within=level.within[1:]))


def test_parts_that_lie_elsewhere_and_other_label_maps_fail(model, focus):
    level = focus.zoom.levels[0].focus
    text = "level 1: its regions are parts of those before it"
    swapped = dict(level.parents)
    part = next(iter(swapped))
    swapped[part] = next(whole for whole in set(swapped.values()) if whole != swapped[part])
    assert text in failed(model, with_level(focus, 0, parents=swapped))
    assert text in failed(model, with_level(focus, 0, label_map=np.roll(level.label_map, 3, axis=1)))
    assert text in failed(model, with_level(focus, 0, areas=level.areas[::-1].copy()))


def test_a_record_that_is_not_the_model_s_fails(model, focus):
    evaluated = focus.zoom.levels[1].focus.evaluated
    text = "level 2: the recorded verdicts and probabilities are the model's"
    assert text in failed(model, with_level(focus, 1, evaluated=replace(evaluated, valid=~evaluated.valid)))
    off = replace(evaluated, probability=evaluated.probability + 0.2)
    assert text in failed(model, with_level(focus, 1, evaluated=off))


def test_coarse_sets_are_not_told_to_fall_that_hold(model, focus):
    changed = replace(focus, zoom=replace(focus.zoom, coarse_holds=(False,) * len(focus.zoom.coarse_holds)))
    assert "with black the strongest final states fare as is said" in failed(model, changed)
