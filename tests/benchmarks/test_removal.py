"""What leaving patches out saves: a vision transformer asked the same questions with tokens dropped and with a fill.

Run with ``pytest tests/benchmarks/test_removal.py -s``; FOCALOGIC_IMAGES says how many images, ten unless told. Weights
are random, head included, which costs what trained ones do. Each image is timed under both, one right after the other.
"""

import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_focalogic import MaskedModel, explain_image
from captum_focalogic.masked_model import search
from captum_focalogic.search import Ascending
from captum_focalogic.search import states as st

IMAGES = int(os.environ.get("FOCALOGIC_IMAGES", "10"))
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ROWS = 8 if DEVICE.type == "cpu" else 64
CRITERION = "top1+0.5"
SETS = 46
"""Region sets that an image may be asked about: all of up to two of the nine regions."""


@pytest.fixture(scope="module")
def vit() -> torch.nn.Module:
    """ViT-B/16 with random weights whose answers depend on its patches."""
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.vit_b_16(weights=None, num_classes=10)
    torch.nn.init.normal_(model.heads.head.weight, std=0.3)
    torch.nn.init.normal_(model.conv_proj.weight, std=0.2)
    model = model.eval().requires_grad_(False).to(DEVICE)
    # Without what all images have in common, the answer is that of the patches.
    common = model(torch.cat([draw(1_000 + seed) for seed in range(4)]).to(DEVICE)).mean(0)
    model.heads.head.bias.copy_(-common)
    return model


def draw(seed: int) -> Tensor:
    """Nine squares of different textures, (1, 3, 224, 224)."""
    generator = torch.Generator().manual_seed(seed)
    colour, contrast = torch.rand(1, 3, 3, 3, generator=generator), torch.rand(1, 1, 3, 3, generator=generator)
    colour, contrast = (torch.nn.functional.interpolate(each, (224, 224)) for each in (colour, contrast))
    grain = torch.rand(1, 3, 224, 224, generator=generator)
    return (0.6 * colour + 0.4 * contrast * grain).mul(255).round().div(255)


def squares() -> Tensor:
    """Nine regions of whole patches."""
    patch = torch.arange(224) // 16 * 3 // 14
    return (patch[:, None] * 3 + patch)[None, None]


def asked(image: Tensor, model: torch.nn.Module, removal: Any) -> MaskedModel:
    return MaskedModel(
        model,
        image.to(DEVICE),
        "mean",
        feature_mask=squares().to(DEVICE),
        criterion=CRITERION,
        removal=removal,
        perturbations_per_eval=ROWS,
    )


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """On the clock, and of the process."""
    wall, own = time.perf_counter(), time.process_time()
    work()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)
    return time.perf_counter() - wall, time.process_time() - own


def ratio(tokens: list[tuple[float, float]], fill: list[tuple[float, float]], which: int) -> float:
    return statistics.median(one[which] / other[which] for one, other in zip(tokens, fill, strict=True))


def chosen(model: torch.nn.Module) -> list[Tensor]:
    """Images whose smallest sets have two regions or more, by dropping tokens."""
    found: list[Tensor] = []
    for seed in range(20 * IMAGES):
        one = np.concatenate([np.zeros((1, 9), dtype=np.bool_), np.eye(9, dtype=np.bool_)])
        if len(found) < IMAGES and not asked(draw(seed), model, "tokens").ask(one).valid.any():
            found.append(draw(seed))
    return found


def test_tokens_against_fill(vit: torch.nn.Module) -> None:
    """The states that prove the smallest sets, asked under both; then a whole explanation, each by its own search."""
    images = chosen(vit)
    assert len(images) == IMAGES, "too few images need two regions"
    proof: dict[str, list[tuple[float, float]]] = {"tokens": [], "fill": []}
    whole: dict[str, list[tuple[float, float]]] = {"tokens": [], "fill": []}
    counted, sizes, kept = [], [], []
    for image in images:
        models = {removal: asked(image, vit, removal) for removal in proof}
        (result,) = search([asked(image, vit, "tokens")], lambda *_: Ascending(stop="smallest"), SETS)
        states = np.asarray(st.unpack(result.evaluated.packed, 9))
        counted.append(len(states))
        sizes.append(result.certificate.least)
        kept.append(float(states.mean()))
        for removal, model in models.items():
            proof[removal].append(seconds(lambda model=model, states=states: model.ask(states)))
        for removal, taken in whole.items():
            taken.append(seconds(lambda removal=removal, image=image: _explain(vit, image, removal)))
    for name, taken in (("the same states", proof), ("explain_image", whole)):
        ratios = [round(ratio(taken["tokens"], taken["fill"], which), 3) for which in (0, 1)]
        print(f"\n{name}: tokens take {ratios[0]} of fill on the clock, {ratios[1]} of its seconds in the process")
    print(
        f"{len(images)} images, {counted} states, smallest {sizes}, {np.mean(kept):.2f} of the regions kept, {DEVICE}"
    )
    assert ratio(proof["tokens"], proof["fill"], 0) <= 0.4
    # A whole explanation also asks under a second fill, and searches that differ ask different numbers of sets.


def _explain(model: torch.nn.Module, image: Tensor, removal: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explain_image(
            model,
            image[0],
            segmenter=squares()[0, 0].numpy(),
            removal=removal,
            criterion=CRITERION,
            perturbations_per_eval=ROWS,
            max_evaluations=SETS,
        )
