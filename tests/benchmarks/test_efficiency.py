"""Figure 11 of the paper: time and metrics against the number of regions and the width of the beam.

Embedded scenes and model, SLIC regions, ground truth by coverage; the settings of ``focalogic experiment efficiency``,
which studies them over more scenes. ``pytest tests/benchmarks/test_efficiency.py -s`` prints one row for each setting;
'off' is the exhaustive search (left out above 12 regions, where it asks up to 2^M states).
"""

from typing import Any

import numpy as np
import pytest
import torch

from captum_focalogic import FocaLogic
from captum_focalogic.demo.network import load_model
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.experiments.efficiency import Pruning, prunings
from captum_focalogic.ground_truth import match_regions
from captum_focalogic.metrics import focus_divergence, focus_precision, focus_recall
from captum_focalogic.segmenters import Slic

SCENES = [draw_scene(seed, label=1 + seed % 2) for seed in range(8)]


@pytest.mark.parametrize("pruning", prunings(), ids=lambda pruning: pruning.name)
def test_regions_and_beam(benchmark: Any, pruning: Pruning) -> None:
    explainer = FocaLogic(
        load_model(),
        segmenter=Slic(pruning.regions),
        search=pruning.search,
        reading="irreducible",
        max_evaluations=pruning.budget,
    )
    images = torch.stack([torch.from_numpy(scene.image) for scene in SCENES])

    focuses = benchmark.pedantic(explainer.explain, args=(images,), rounds=1, warmup_rounds=0)
    precision, recall, divergence = [], [], []
    for scene, focus in zip(SCENES, focuses, strict=True):
        truth = match_regions(focus.label_map, scene.truth(), "coverage:0.5").regions
        precision.append(focus_precision(focus.final_states, truth, focus.areas))
        recall.append(focus_recall(focus.final_states, truth, focus.areas))
        divergence.append(focus_divergence(focus.final_states, focus.areas))
    benchmark.extra_info.update(
        evaluations=sum(focus.certificate.evaluations for focus in focuses) // len(focuses),
        states=round(float(np.mean([len(focus.final_states) for focus in focuses])), 1),
        budget_met=sum(focus.certificate.stopped is not None for focus in focuses),
        precision=round(float(np.nanmean(precision)), 3),
        recall=round(float(np.nanmean(recall)), 3),
        divergence=round(float(np.nanmean(divergence)), 3),
    )
    print(f"\n{pruning.name}: {dict(benchmark.extra_info)}")
