from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic import FocaLogic, Focus, MaskedModel, explain_image
from captum_focalogic.errors import InputError
from captum_focalogic.figures.headline import evidence_image, parts_image
from captum_focalogic.levels import coarse_of, part_names
from captum_focalogic.oracle import search
from captum_focalogic.search import Anytime
from captum_focalogic.summary import MOST_PARTS
from captum_focalogic.zoom import LEAST_PART, MOST, PARTS, coarse_budget, zoom_in

SIZE = 24


class Needs(torch.nn.Module):
    """Says class 1 where all pixels of some one set are there, that is, white as in the image; counts what is asked."""

    def __init__(self, *alternatives, fooled_by=None):
        super().__init__()
        self.alternatives, self.fooled_by, self.rows = alternatives, fooled_by, 0

    def forward(self, images):
        self.rows += len(images)
        present = images.mean(dim=1) == 1
        holds = torch.stack([present[:, mask].all(dim=1) for mask in self.alternatives]).any(dim=0)
        share = torch.stack([present[:, mask].float().mean(dim=1) for mask in self.alternatives]).amax(dim=0)
        if self.fooled_by is not None:
            # A fill of this shade is itself taken for evidence.
            holds |= (images.mean(dim=1) - self.fooled_by).abs().lt(1e-3).float().mean(dim=(1, 2)) > 0.5
        return torch.stack([torch.zeros(len(images)), torch.where(holds, 3.0, -3.0 + share)], dim=1)


def mask_of(pixels):
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    for row, column in pixels:
        mask[row, column] = True
    return mask


def quarters():
    return np.array([[1, 2], [3, 4]]).repeat(SIZE // 2, axis=0).repeat(SIZE // 2, axis=1)


def zoomed(model, label_map, levels=3, budget=None, **how):
    image = torch.ones(1, 3, SIZE, SIZE)
    fill = torch.full_like(image, 0.5)
    mask = torch.from_numpy(label_map)[None, None]
    (masked,) = MaskedModel.batch(model, image, fill, 1, feature_mask=mask, criterion="top1", outputs="logits", **how)
    (result,) = search([masked], lambda _, most: Anytime(), coarse_budget(budget))
    (focus,), (answer,) = zoom_in([masked], [masked.focus(result, "smallest")], levels, [budget])
    return focus, answer


def cover(label_map, mask):
    """The regions that hold some of the pixels: where all of these are needed, the one irreducible set."""
    return frozenset(np.unique(label_map[mask.numpy()]).tolist())


pixels = hs.lists(hs.tuples(hs.integers(0, SIZE - 1), hs.integers(0, SIZE - 1)), min_size=1, max_size=5)


@settings(max_examples=15, deadline=None)
@given(pixels)
def test_needed_pixels_are_found_to_the_part_at_every_level(needed):
    mask = mask_of(needed)
    focus, answer = zoomed(Needs(mask), quarters())
    assert focus.region_sets() == [cover(quarters(), mask)]
    area = 1.0
    for level in focus.zoom.levels:
        assert level.focus.region_sets() == [cover(level.focus.label_map, mask)]
        assert level.stands
        assert level.focus.certificate.irreducible
        assert level.area < area
        area = level.area
    assert focus.zoom.levels
    assert np.array_equal(answer.region_ids, focus.zoomed.region_ids)
    assert focus.zoom.evaluations <= MOST


@settings(max_examples=15, deadline=None)
@given(pixels, pixels)
def test_each_alternative_that_is_kept_is_one_of_those_there_are(one, other):
    masks = [mask_of(one), mask_of(other)]
    focus, _ = zoomed(Needs(*masks), quarters())
    for level in focus.zoom.levels:
        covers = {cover(level.focus.label_map, mask) for mask in masks}
        least = {each for each in covers if not any(fewer < each for fewer in covers)}
        assert set(level.focus.region_sets()) <= least
        # What was not held by any set of the level before cannot come back; of what was, nothing is lost.
        assert len(level.focus.final_states) >= 1


def test_an_or_between_regions_survives_to_the_last_level():
    masks = [mask_of([(2, 3), (15, 4)]), mask_of([(2, 3), (17, 20)])]
    focus, _ = zoomed(Needs(*masks), quarters(), levels=2)
    assert set(focus.region_sets()) == {frozenset({1, 3}), frozenset({1, 4})}
    for level in focus.zoom.levels:
        assert set(level.focus.region_sets()) == {cover(level.focus.label_map, mask) for mask in masks}
    assert str(focus.zoomed.folded) == str(focus.expression) == "I1 & (I3 | I4)"


@settings(max_examples=12, deadline=None)
@given(hs.integers(0, 10_000))
def test_sets_are_irreducible_by_brute_force_under_both_fills(seed):
    rng = np.random.default_rng(seed)
    masks = [mask_of(rng.integers(0, SIZE, (3, 2)).tolist()) for _ in range(3)]
    model = Needs(*masks, fooled_by=0.0)
    focus, _answer = zoomed(model, quarters(), levels=2)
    if focus.zoom.answer is None:
        return
    fine = focus.zoomed
    image = torch.ones(1, 3, SIZE, SIZE)

    def enough(state):
        kept = torch.from_numpy(np.isin(fine.label_map, fine.region_ids[state]))
        shown = [torch.where(kept, image, torch.full_like(image, shade)) for shade in (0.5, 0.0)]
        return all(int(model(each).argmax()) == 1 for each in shown)

    for state in fine.final_states:
        assert enough(state)
        for region in np.flatnonzero(state):
            fewer = state.copy()
            fewer[region] = False
            assert not enough(fewer)


def test_on_a_small_grid_all_subsets_agree():
    """Nested and scattered needs among 3 x 3 cells: the level's sets are among the minimal ones of all 2^9."""
    cells = np.arange(9).reshape(3, 3).repeat(8, axis=0).repeat(8, axis=1)
    masks = [mask_of([(1, 1), (1, 12)]), mask_of([(1, 1), (12, 12), (20, 20)]), mask_of([(20, 3)])]
    focus, _ = zoomed(Needs(*masks), cells, levels=1)
    covers = [cover(cells, mask) for mask in masks]
    minimal = {each for each in covers if not any(other < each for other in covers)}
    valid = {
        frozenset(kept)
        for size in range(10)
        for kept in combinations(range(9), size)
        if any(c <= set(kept) for c in covers)
    }
    least = {each for each in valid if not any(frozenset(each - {cell}) in valid for cell in each)}
    assert minimal == least
    # The smallest is the lone cell; the zoom goes into it alone.
    assert focus.region_sets() == [frozenset({6})]
    assert focus.zoom.levels[0].focus.region_sets() == [cover(focus.zoom.levels[0].focus.label_map, masks[2])]


def test_a_coarse_set_that_falls_under_the_second_fill_is_said_and_replaced_by_one_that_holds():
    # With grey, corner 1 alone is enough; with black, the model wants a pixel of corner 4 as well.
    class Falls(Needs):
        def forward(self, images):
            outputs = super().forward(images)
            dark = (images.mean(dim=1) == 0).flatten(1).any(dim=1) & (images[:, :, 20, 20].mean(dim=1) != 1)
            outputs[dark, 1] = -3.0
            return outputs

    first = mask_of([(2, 2)])
    focus, _ = zoomed(Falls(first), quarters())
    assert focus.region_sets() == [frozenset({1})]
    assert focus.zoom.coarse_holds == (False,)
    both = mask_of([(2, 2), (20, 20)])
    for level in focus.zoom.levels:
        assert level.stands
        assert level.focus.region_sets() == [cover(level.focus.label_map, both)]
    assert focus.zoom.answer is focus.zoom.levels[-1].focus


def test_a_criterion_without_scores_is_zoomed_by_all_the_same():
    """Nothing ranks the regions but verdicts, and the coarse set falls with black."""

    class Dark(Needs):
        def forward(self, images):
            outputs = super().forward(images)
            dark = (images.mean(dim=1) == 0).flatten(1).any(dim=1) & (images[:, :, 20, 20].mean(dim=1) != 1)
            outputs[dark, 1] = -3.0
            return outputs

    image = torch.ones(1, 3, SIZE, SIZE)
    mask = torch.from_numpy(quarters())[None, None]

    def called_one(outputs, _reference):
        return outputs[:, 1] > 0

    masked = MaskedModel(
        Dark(mask_of([(2, 2)])), image, 0.5 * image, feature_mask=mask, criterion=called_one, outputs="logits"
    )
    (result,) = search([masked], lambda _, most: Anytime(), 20)
    (focus,), _ = zoom_in([masked], [masked.focus(result, "smallest")], 2, [None])
    both = mask_of([(2, 2), (20, 20)])
    assert focus.zoom.coarse_holds == (False,)
    for level in focus.zoom.levels:
        assert level.focus.region_sets() == [cover(level.focus.label_map, both)]
    assert len(focus.zoom.levels) == 2


def test_nothing_that_holds_is_no_zoom():
    """With black, only the whole is called so: there is no smaller set to zoom into, and the answer stays coarse."""

    class Whole(Needs):
        def forward(self, images):
            outputs = super().forward(images)
            outputs[(images.mean(dim=1) == 0).flatten(1).any(dim=1), 1] = -3.0
            return outputs

    focus, answer = zoomed(Whole(mask_of([(2, 2)])), quarters())
    assert focus.zoom.stopped == "nothing"
    assert not focus.zoom.levels
    assert focus.zoomed is focus
    assert np.array_equal(answer.region_ids, focus.region_ids)


@pytest.mark.parametrize("budget", [4, 20, 40, 80, 200])
def test_the_budget_is_kept(budget):
    mask = mask_of([(1, 1), (4, 9), (9, 3), (15, 20), (20, 4)])
    model = Needs(mask)
    focus, _ = zoomed(model, quarters(), levels=4, budget=budget)
    assert focus.zoom.evaluations <= budget or not focus.zoom.levels
    # The whole image is asked once, and stands in both memories.
    assert model.rows <= max(budget, coarse_budget(budget) + 4)
    for level in focus.zoom.levels:
        assert cover(level.focus.label_map, mask) <= level.focus.region_sets()[0]


def test_a_budget_that_ends_within_a_level_leaves_an_unfinished_set_that_is_enough():
    mask = mask_of([(1, 1), (4, 9), (9, 3), (15, 20), (20, 4)])
    found = [zoomed(Needs(mask), quarters(), levels=2, budget=budget)[0] for budget in range(10, 120, 3)]
    levels = [level for focus in found for level in focus.zoom.levels if level.focus.unfinished.any()]
    assert levels
    for level in levels:
        assert not level.focus.certificate.irreducible
        assert level.focus.certificate.stopped == "max_evaluations"
        assert cover(level.focus.label_map, mask) <= level.focus.region_sets()[0]
    # Whoever is told that a set may be larger than it needs to be is told why.
    told = {focus.zoom.stopped for focus in found if focus.zoom.levels and focus.zoomed.unfinished.any()}
    assert told == {"max_evaluations"}


def test_an_interrupt_ends_it_wherever_it_comes():
    mask = mask_of([(1, 1), (4, 9), (9, 3), (15, 20), (20, 4)])

    class Interrupted(Needs):
        left = 0

        def forward(self, images):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            return super().forward(images)

    def zoom(calls):
        """The zoom, interrupted at one of its calls, and the calls that it would have had left."""
        model, image = Interrupted(mask), torch.ones(1, 3, SIZE, SIZE)
        label_map = torch.from_numpy(quarters())[None, None]
        masked = MaskedModel(model, image, torch.full_like(image, 0.5), 1, feature_mask=label_map, outputs="logits")
        (result,) = search([masked], lambda _, most: Anytime(), 50)
        model.left = calls
        (focus,), _ = zoom_in([masked], [masked.focus(result, "smallest")], 2, [None])
        return focus.zoom, model.left

    whole, left = zoom(1_000)
    assert whole.stopped == "levels"
    for call in range(1, 1_000 - left + 1):
        cut_short, left = zoom(call)
        assert cut_short.stopped == "interrupted"
        assert left == 0, "the model was asked again"
        for level in cut_short.levels:
            assert cover(level.focus.label_map, mask) <= level.focus.region_sets()[0]


def test_a_cut_that_shrinks_nothing_is_no_level_and_the_next_is_finer():
    """All of one quarter is needed but for a corner of 4 pixels, and none of its first parts is as small as that."""
    needed = [(row, column) for row in range(12) for column in range(12) if row > 1 or column > 1]
    focus, _ = zoomed(Needs(mask_of(needed)), quarters(), levels=1)
    assert focus.region_sets() == [frozenset({1})]
    (level,) = focus.zoom.levels
    assert len(level.within) > PARTS
    assert level.area < focus.areas[0]


def test_many_examples_are_asked_together_and_each_gets_what_it_would_alone():
    masks = [mask_of([(2, 3), (15, 4)]), mask_of([(9, 9)]), mask_of([(20, 20), (3, 20), (11, 12)])]
    label_map = torch.from_numpy(quarters())[None, None]

    class Each(torch.nn.Module):
        calls = 0

        def forward(self, images, which):
            self.calls += 1
            return torch.stack([Needs(masks[int(n)])(image[None])[0] for image, n in zip(images, which, strict=True)])

    images, model = torch.ones(3, 3, SIZE, SIZE), Each()
    fill = torch.full_like(images, 0.5)
    models = MaskedModel.batch(
        model, images, fill, 1, torch.arange(3), label_map.expand(3, 1, SIZE, SIZE), outputs="logits"
    )
    results = search(models, lambda _, most: Anytime(), 100)
    focuses = [each.focus(result, "smallest") for each, result in zip(models, results, strict=True)]
    together, _ = zoom_in(models, focuses, 2, [None] * 3)
    calls = model.calls
    for focus, mask in zip(together, masks, strict=True):
        alone, _ = zoomed(Needs(mask), quarters(), levels=2)
        assert [level.focus.region_sets() for level in focus.zoom.levels] == [
            level.focus.region_sets() for level in alone.zoom.levels
        ]
    asked = sum(focus.zoom.evaluations for focus in together)
    assert calls < asked / 2


def test_a_coarse_state_is_known_in_the_finer_partition():
    model = Needs(mask_of([(2, 3)]))
    image = torch.ones(1, 3, SIZE, SIZE)
    mask = torch.from_numpy(quarters())[None, None]
    masked = MaskedModel(model, image, torch.zeros_like(image), 1, feature_mask=mask, outputs="logits")
    coarse = np.random.default_rng(0).random((9, 4)) < 0.5
    before = masked.ask(coarse)
    finer = quarters() * 10 + np.arange(SIZE)[None] % 3
    fine = masked.refined(finer)
    rows = model.rows
    again = fine.ask(coarse[:, fine.region_ids // 10 - 1])
    assert model.rows == rows
    assert np.array_equal(before.valid, again.valid)
    assert np.array_equal(before.probability, again.probability)
    assert np.array_equal(before.score, again.score)
    assert len(fine.memory) == len(masked.memory)
    # Other criteria judge what is remembered; what is new is asked.
    assert np.array_equal(fine.under("label").ask(coarse[:, fine.region_ids // 10 - 1]).valid, before.valid)
    fine.ask(np.eye(fine.num_regions, dtype=bool)[:2])
    assert model.rows == rows + 2
    assert len(masked.memory) == len(fine.memory) - 2


def test_a_transformer_s_parts_are_whole_patches():
    patches = torch.arange(36).reshape(6, 6).repeat_interleave(4, 0).repeat_interleave(4, 1)

    class Leaves(Needs):
        """Leaves patches out by itself: what is not there is not white."""

        def forward_masked(self, images, kept):
            return self.forward(torch.where(kept[:, None], images, torch.zeros_like(images)))

        def patches(self, size):
            assert size == (SIZE, SIZE)
            return patches

    mask = mask_of([(2, 3), (20, 20)])
    focus, _ = zoomed(Leaves(mask), quarters(), levels=3, removal="tokens")
    assert focus.zoom.second == "black"
    assert len(focus.zoom.levels) >= 2
    for level in focus.zoom.levels:
        parts = level.focus.label_map
        assert all(len(np.unique(parts[patches.numpy() == patch])) == 1 for patch in range(36))
        assert level.focus.region_sets() == [cover(parts, mask)]


def test_a_partition_that_is_not_finer_is_refused():
    image = torch.ones(1, 3, SIZE, SIZE)
    mask = torch.from_numpy(quarters())[None, None]
    masked = MaskedModel(Needs(mask_of([(2, 3)])), image, 0, 1, feature_mask=mask, outputs="logits")
    with pytest.raises(InputError, match="must lie within one region"):
        masked.refined(np.roll(quarters(), 1, axis=1))


def test_parts_are_not_made_smaller_than_is_said():
    focus, _ = zoomed(Needs(mask_of([(2, 3)])), quarters(), levels=8)
    parts = focus.zoom.levels[-1].focus
    assert focus.zoom.stopped in ("size", "area")
    # A part may be a little smaller than the rest of its region, never a speck.
    assert min(parts.areas) >= LEAST_PART / 4


def test_names_tell_where_a_part_lies():
    parents = {13: 6, 14: 6, 15: 13, 16: 13}
    ids = np.array([1, 14, 15, 16])
    assert part_names(ids, parents) == {14: "6.2", 15: "6.1.1", 16: "6.1.2"}
    assert part_names(ids, parents, {1: "sky", 6: "cat"}) == {1: "sky", 14: "cat.2", 15: "cat.1.1", 16: "cat.1.2"}
    assert [coarse_of(region, parents) for region in ids.tolist()] == [1, 6, 6, 6]


def test_the_tree_of_regions_is_a_graph():
    focus, _ = zoomed(Needs(mask_of([(2, 3)]), mask_of([(20, 3)])), quarters(), levels=2)
    tree, fine = focus.region_tree(), focus.zoomed
    assert {node for node in tree if not tree.nodes[node]["part"]} == {1, 2, 3, 4}
    assert {node for node in tree if not tree.nodes[node]["cut"]} == set(fine.region_ids.tolist())
    assert sum(tree.nodes[node]["area"] for node in (1, 2, 3, 4)) == pytest.approx(1)
    assert {tree.nodes[node]["name"] for node in tree.successors(1)} >= {"1.1", "1.2"}
    assert {node for node in (1, 2, 3, 4) if tree.nodes[node]["kept"]} == {1, 3}
    assert len({node for node in (1, 3) if tree.nodes[node]["strongest"]}) == 1
    (plain,) = FocaLogic(Needs(mask_of([(2, 3)])), outputs="logits").explain(
        torch.ones(1, 3, SIZE, SIZE), target=1, feature_mask=torch.from_numpy(quarters())[None, None]
    )
    assert not plain.region_tree().edges


def test_responsibility_of_parts_comes_from_answers_that_are_there():
    model = Needs(mask_of([(2, 3), (20, 20)]))
    explainer = FocaLogic(model, outputs="logits", weighting="responsibility")
    image = torch.ones(1, 3, SIZE, SIZE)
    how = {"target": 1, "feature_mask": torch.from_numpy(quarters())[None, None], "zoom": 2}
    (focus,) = explainer.explain(image, **how)
    rows = model.rows
    weights = explainer.attribute(image, **how)
    assert model.rows == 2 * rows
    fine = focus.zoomed
    responsible = {region for region in fine.region_ids.tolist() if weights[0, 0][fine.label_map == region].max() > 0}
    assert responsible == set(fine.region_sets()[0])


def test_a_focus_with_its_zoom_is_stored_and_read():
    focus, _ = zoomed(Needs(mask_of([(2, 3)]), mask_of([(20, 3)])), quarters())
    read = Focus.from_json(focus.to_json())
    assert read.to_json() == focus.to_json()
    for level, again in zip(focus.zoom.levels, read.zoom.levels, strict=True):
        assert again.holds == level.holds
        assert again.within == level.within
        assert again.focus.parents == level.focus.parents
        assert again.focus.names == level.focus.names
        assert again.focus.certificate == level.focus.certificate
        assert np.array_equal(again.focus.label_map, level.focus.label_map)
        assert np.array_equal(again.focus.evaluated.valid, level.focus.evaluated.valid)
    assert (read.zoom.second, read.zoom.stopped, read.zoom.evaluations) == (
        focus.zoom.second,
        focus.zoom.stopped,
        focus.zoom.evaluations,
    )


def test_explain_and_attribute_take_it():
    mask = mask_of([(2, 3), (20, 20)])
    explainer = FocaLogic(Needs(mask), outputs="logits", weighting="frequency")
    image = torch.ones(1, 3, SIZE, SIZE)
    how = {"target": 1, "feature_mask": torch.from_numpy(quarters())[None, None]}
    (focus,) = explainer.explain(image, zoom=2, **how)
    (plain,) = explainer.explain(image, **how)
    assert plain.zoom is None
    assert plain.zoomed is plain
    assert focus.region_sets() == plain.region_sets()
    assert focus.zoomed.region_sets() == [cover(focus.zoomed.label_map, mask)]
    assert focus.zoomed.image is not None
    weights = explainer.attribute(image, zoom=2, **how)
    kept = np.isin(focus.zoomed.label_map, focus.zoomed.region_ids[focus.zoomed.final_states[0]])
    assert np.array_equal(weights[0, 0].numpy() == 1, kept)


@pytest.mark.parametrize("zoom", [-1, 9, True, 1.5, "2"])
def test_levels_are_a_small_whole_number(zoom):
    with pytest.raises(InputError, match="zoom is a number of levels"):
        explain_image(Needs(mask_of([(2, 3)])), np.full((SIZE, SIZE, 3), 255, dtype=np.uint8), zoom=zoom)


def test_only_images_are_zoomed_into():
    explainer = FocaLogic(lambda x: torch.stack([x.sum(1) * 0, x.sum(1)], dim=1))
    with pytest.raises(InputError, match="one image an example"):
        explainer.explain(torch.ones(1, 4), zoom=1)


def test_an_answer_tells_the_way():
    image = np.full((SIZE, SIZE, 3), 255, dtype=np.uint8)
    model = Needs(mask_of([(2, 3)]), mask_of([(20, 3)]))
    answer = explain_image(model, image, segmenter=quarters(), baseline=0.5, criterion="top1", target=1, zoom=2)
    said = answer.summary()["Zoom"]
    assert "1." in said
    assert "keeps it alone, with black too" in said
    assert "area by level: 25 %, then" in said
    assert "by whole regions 1 or 3" in said
    assert answer.headline().width > 640
    plain = explain_image(model, image, segmenter=quarters(), baseline=0.5, criterion="top1", target=1)
    assert "Zoom" not in plain.summary()


def test_what_all_levels_share_is_the_focus_s_own():
    image = np.full((SIZE, SIZE, 3), 255, dtype=np.uint8)
    model = Needs(mask_of([(2, 3)]))
    how = {"segmenter": quarters(), "baseline": 0.5, "criterion": "top1", "labels": ["none", "dot"]}
    answer = explain_image(model, image, zoom=2, **how)
    fine = answer.focus.zoomed
    assert fine.target_name == "dot"
    assert fine.image is not None
    assert fine.provenance == answer.focus.provenance
    assert replace(answer.focus, zoom=None).to_json() == explain_image(model, image, **how).focus.to_json()


@pytest.mark.parametrize(
    "pixels_needed", [[(2, 3), (9, 9)], [(r, c) for r in range(1, 24, 5) for c in range(1, 12, 5)]]
)
def test_the_picture_shows_the_parts_to_the_bit_and_numbers_on_none_of_them(pixels_needed):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 200, (SIZE, SIZE, 3)).astype(np.uint8)
    for row, column in pixels_needed:
        image[row, column] = 255
    answer = explain_image(
        Needs(mask_of(pixels_needed)), image, segmenter=quarters(), baseline=0.5, criterion="top1", target=1, zoom=2
    )
    fine = answer.focus.zoomed
    state = fine.final_states[fine.strongest[0]]
    assert (state.sum() > MOST_PARTS) == (len(pixels_needed) > MOST_PARTS)
    drawn = np.asarray(parts_image(image, fine.label_map, fine, state, side=SIZE * 20))
    plain = np.asarray(evidence_image(image, fine.label_map, fine.region_ids, state, side=SIZE * 20))
    centres = slice(10, None, 20)
    kept = np.isin(fine.label_map, fine.region_ids[state])
    assert np.array_equal(drawn[centres, centres][kept], plain[centres, centres][kept])
    assert not np.array_equal(drawn[centres, centres][~kept], image[~kept])
