"""What a method answers: scores of regions spread over pixels, or of pixels averaged over regions."""

import numpy as np
import torch
from tiny_models import LABELS, rule_decision

from captum_focalogic.compare.method import from_pixels, from_regions

IMAGE = torch.ones(1, 3, 4, 4)
DECISION = rule_decision()


def test_scores_of_regions_are_spread_over_their_pixels() -> None:
    answer = from_regions(DECISION, np.array([1, 2, 3, 4], dtype=np.float32), "a note")
    assert answer.scores.dtype == np.float64
    assert answer.over_regions
    assert answer.note == "a note"
    for region, score in zip(DECISION.region_ids, answer.scores, strict=True):
        assert (answer.heat_map[region == LABELS] == score).all()


def test_scores_of_pixels_are_averaged_over_regions() -> None:
    heat = np.random.default_rng(0).random((4, 4))
    answer = from_pixels(DECISION, heat)
    assert not answer.over_regions
    assert (answer.heat_map == heat).all()
    assert np.allclose(answer.scores, [heat[region == LABELS].mean() for region in DECISION.region_ids])
