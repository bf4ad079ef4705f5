"""What leaving patches out saves: a vision transformer asked the same questions with tokens dropped and with a fill.

Run with ``pytest tests/benchmarks/test_removal.py -s``; FOCALOGIC_IMAGES says how many images, ten unless told. Weights
are random, head included, which costs what trained ones do. Each image is timed under both, one right after the other.
FOCALOGIC_LAYERS=3 takes three of the twelve layers, so that all that is spent beside them weighs four times as much.
It takes half an hour on one thread: with FOCALOGIC_TIMES=FILE what was timed is kept there, and images that FILE has
are not timed again. On a processor seconds of the process decide, which a busy machine disturbs less than the clock.
"""

import json
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_focalogic import MaskedModel, explain_image
from captum_focalogic.integrations.vision_transformers import TokenRemoval
from captum_focalogic.oracle import search
from captum_focalogic.search import Ascending
from captum_focalogic.search import states as st

IMAGES = int(os.environ.get("FOCALOGIC_IMAGES", "10"))
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ROWS = 8 if DEVICE.type == "cpu" else 64
CRITERION = "top1+0.5"
SETS = 46
"""Region sets of a proof: all of up to two of the nine regions."""

EVALUATIONS = 120
"""Of a whole explanation: enough for a proof, critical sets, trust, a second fill and what is asked again."""


@pytest.fixture(scope="module")
def vit() -> torch.nn.Module:
    """ViT-B/16, or the first layers of it, with random weights whose answers depend on its patches."""
    import torchvision

    torch.manual_seed(0)
    layers = int(os.environ.get("FOCALOGIC_LAYERS", "12"))
    model = torchvision.models.VisionTransformer(
        224, 16, layers, num_heads=12, hidden_dim=768, mlp_dim=3072, num_classes=10
    )
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


def chosen(model: torch.nn.Module, known: list[int]) -> list[int]:
    """Seeds of images whose smallest sets have two regions or more, by dropping tokens; the first ones are known."""
    found = sorted(known)
    for seed in range(max(found, default=-1) + 1, 20 * IMAGES):
        one = np.concatenate([np.zeros((1, 9), dtype=np.bool_), np.eye(9, dtype=np.bool_)])
        if len(found) < IMAGES and not asked(draw(seed), model, "tokens").ask(one).valid.any():
            found.append(seed)
    return found


class Decided(torch.nn.Module):
    """Answers by a rule over the regions that are there, at the cost of the transformer under either removal.

    What a network says differs between a fill and tokens left out, and so does what is asked then. Of this one the same
    is asked, and the same found.
    """

    def __init__(self, vit: torch.nn.Module) -> None:
        super().__init__()
        self.vit = vit
        self.tokens = TokenRemoval(vit)
        self.cells = torch.nn.functional.one_hot(squares().flatten()).float().to(DEVICE)

    def about(self, image: Tensor, terms: list[list[int]]) -> "Decided":
        """The same weights about another image, and another rule: all regions of some term."""
        self.image, self.terms = image, terms
        return self

    def forward(self, images: Tensor) -> Tensor:
        self.vit(images)
        return self._say((images == self.image).all(1))

    def forward_masked(self, images: Tensor, kept: Tensor) -> Tensor:
        self.tokens.forward_masked(images, kept)
        return self._say(kept)

    def patches(self, size: tuple[int, int]) -> Tensor:
        return self.tokens.patches(size)

    def _say(self, there: Tensor) -> Tensor:
        present = there.flatten(1).float() @ self.cells >= self.cells.sum(0)
        share = torch.stack([present[:, term].float().mean(1) for term in self.terms]).amax(0)
        said = torch.where(share == 1, 3.0, 2 * share - 4)
        return torch.stack([said, torch.zeros_like(said)], dim=1)


def test_tokens_against_fill(vit: torch.nn.Module) -> None:
    """The states that prove the smallest sets, under both; then whole explanations of which the same is asked."""
    kept = Path(os.environ.get("FOCALOGIC_TIMES", os.devnull))
    times: dict[str, dict[str, Any]] = json.loads(kept.read_text() or "{}") if kept.is_file() else {}
    decided = Decided(vit)
    for seed in chosen(vit, [int(seed) for seed in times]):
        if str(seed) not in times:
            times[str(seed)] = {"states": _same_states(vit, seed), "explain_image": _explanations(decided, seed)}
            kept.write_text(json.dumps(times))
            print(seed, times[str(seed)], flush=True)
    assert len(times) >= IMAGES, "too few images need two regions"
    ratios = {}
    for part in ("states", "explain_image"):
        timed = [one[part] for one in times.values()]
        ratios[part] = [ratio([one["tokens"] for one in timed], [one["fill"] for one in timed], i) for i in (0, 1)]
        on_the_clock, own = ratios[part]
        print(f"\n{part}: tokens take {on_the_clock:.3f} of fill on the clock, {own:.3f} of its seconds in the process")
    print(f"{len(times)} images, {DEVICE}")
    decides = 1 if DEVICE.type == "cpu" else 0
    assert ratios["states"][decides] <= 0.4
    assert ratios["explain_image"][decides] <= 0.6


def _same_states(vit: torch.nn.Module, seed: int) -> dict[str, Any]:
    """All states of a proof, which the network itself decides, and what they take."""
    image = draw(seed)
    (result,) = search([asked(image, vit, "tokens")], lambda *_: Ascending(stop="smallest"), SETS)
    states = np.asarray(st.unpack(result.evaluated.packed, 9))
    models = {removal: asked(image, vit, removal) for removal in ("tokens", "fill")}
    taken = {removal: seconds(lambda model=model: model.ask(states)) for removal, model in models.items()}
    return {**taken, "asked": len(states), "least": result.certificate.least, "kept": float(states.mean())}


def _explanations(model: Decided, seed: int) -> dict[str, Any]:
    """Two explanations of which the same is asked, and what they take."""
    rng = np.random.default_rng(seed)
    terms = [rng.choice(9, size, replace=False).tolist() for size in (2, 3)]
    image = draw(seed)
    model.about(image.to(DEVICE), terms)
    taken: dict[str, Any] = {}
    focuses = []
    for removal in ("tokens", "fill"):
        found: list[Any] = []
        taken[removal] = seconds(lambda removal=removal, found=found: found.append(_explain(model, image, removal)))
        focuses.append(found[0].focus)
    assert focuses[0].formula == focuses[1].formula
    one, other = (replace(focus.certificate, batches=0) for focus in focuses)
    assert one == other
    assert focuses[0].critical.asked == focuses[1].critical.asked
    return {**taken, "asked": focuses[0].certificate.evaluations + len(focuses[0].further)}


def _explain(model: torch.nn.Module, image: Tensor, removal: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return explain_image(
            model,
            image[0],
            segmenter=squares()[0, 0].numpy(),
            removal=removal,
            criterion=CRITERION,
            perturbations_per_eval=ROWS,
            max_evaluations=EVALUATIONS,
        )
