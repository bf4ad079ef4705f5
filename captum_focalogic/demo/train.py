"""Training of the embedded model: ``python -m captum_focalogic.demo.train``.

One seed gives one set of weights, bit for bit, on the same machine with the same versions: one thread does the sums,
and every random choice comes from one generator.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from captum_focalogic.demo.batches import SceneSet
from captum_focalogic.demo.network import WEIGHTS, SceneNetwork
from captum_focalogic.demo.scenes import SceneConfig, draw_scene
from captum_focalogic.errors import InputError

FIRST_TRAINING_SEED = 1_000_000
"""Scenes with seeds from here on are for training; those below are never trained on."""

OnEpoch = Callable[[int, nn.Module], None]
"""Told after each epoch, 1 and up, and given the network, which is still in training mode."""


class TrainingProgress(Protocol):
    """Where the state of a training is kept after each epoch, so that one that was broken off goes on from there."""

    def load(self) -> Mapping[str, Tensor]:
        """What was saved last; nothing where nothing was."""

    def save(self, tensors: Mapping[str, Tensor]) -> object:
        """Keep this in place of what was saved before."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained; the defaults give the weights that come with the package.

    Attributes
    ----------
    seed : int
        Fixes the network's start, the order of the scenes and what is taken from them.
    scenes : int
        Number of different training scenes.
    epochs : int
        Passes over them.
    batch_size : int
        Images in a step.
    learning_rate : float
        Peak of the one-cycle schedule.
    masked_share : float
        Share of the images that lose regions.
    masked_label : {"remaining", "whole"}
        What an image that lost regions counts as: the class of what is left, or that of the whole scene, which is what
        random erasing (Zhong et al. 2020) means and leaves a bias of the scenes as it is.
    scene : SceneConfig
        What the scenes are drawn like.
    """

    seed: int = 0
    scenes: int = 16_000
    epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 6e-3
    masked_share: float = 0.8
    masked_label: Literal["remaining", "whole"] = "remaining"
    scene: SceneConfig = field(default_factory=SceneConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= self.scenes:
            raise InputError(f"batch_size is {self.batch_size}: expected 1 to the number of scenes, {self.scenes}")
        if self.epochs < 1:
            raise InputError(f"epochs is {self.epochs}: expected 1 or more")


def draw_training_set(config: TrainingConfig, show_progress: bool = False) -> SceneSet:
    """The scenes of a training run."""
    seeds = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + config.scenes)
    scenes = tqdm(seeds, desc="drawing", unit="scene", disable=not show_progress)
    return SceneSet.from_scenes(draw_scene(seed, config=config.scene) for seed in scenes)


def train(
    config: TrainingConfig,
    scenes: SceneSet | None = None,
    show_progress: bool | str = False,
    network: Callable[[], nn.Module] = SceneNetwork,
    on_epoch: OnEpoch | None = None,
    progress: TrainingProgress | None = None,
) -> tuple[nn.Module, list[float]]:
    """Train a network on scenes.

    Parameters
    ----------
    config : TrainingConfig
    scenes : SceneSet, optional
        The training set; drawn as the configuration says if not given.
    show_progress : bool or str
        Show a bar for the drawing and one for the steps; a text is what the latter begins with.
    network : callable
        Makes the network, whose initial weights the seed then fixes: images (N, 3, H, W) in [0, 1] to logits. The
        embedded architecture by default.
    on_epoch : callable, optional
        Told after each epoch; may keep a copy of the weights, and must leave them as they are.
    progress : TrainingProgress, optional
        Where a training goes on that was broken off: to the same weights, bit for bit.

    Returns
    -------
    model : nn.Module
        In evaluation mode.
    losses : list of float
        Cross-entropy of every step that was made now.

    Raises
    ------
    InputError
        If there are fewer scenes than a batch holds.
    """
    scenes = scenes or draw_training_set(config, bool(show_progress))
    if len(scenes) < config.batch_size:
        raise InputError(f"{len(scenes)} scenes do not fill a batch of {config.batch_size}: give more scenes")
    generator = torch.Generator().manual_seed(config.seed)
    with reproducible(config.seed):
        model: nn.Module = network().to(memory_format=torch.channels_last).train()
        losses = fit(
            model,
            lambda: _losses(model, scenes, config, generator),
            len(scenes) // config.batch_size,
            config,
            show_progress,
            on_epoch,
            generator,
            progress,
        )
    return model.to(memory_format=torch.contiguous_format).eval(), losses


def fit(
    model: nn.Module,
    losses_of_a_pass: Callable[[], Iterator[Tensor]],
    steps: int,
    config: TrainingConfig,
    show_progress: bool | str = False,
    on_epoch: OnEpoch | None = None,
    generator: torch.Generator | None = None,
    progress: TrainingProgress | None = None,
) -> list[float]:
    """Minimise losses with AdamW on a one-cycle schedule.

    Parameters
    ----------
    model : nn.Module
        Changed in place.
    losses_of_a_pass : callable
        One pass over the data: yields the loss of each batch, computed when it is asked for.
    steps : int
        Batches of a pass.
    config : TrainingConfig
        Its epochs and learning rate are used.
    show_progress : bool or str
        Show a bar; a text is what it begins with.
    on_epoch : callable, optional
        See :func:`train`.
    generator : torch.Generator, optional
        What the losses draw from.
    progress : TrainingProgress, optional
        See :func:`train`.

    Returns
    -------
    list of float
        The loss of every step that was made now.
    """
    total = config.epochs * steps
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        config.learning_rate,
        total_steps=total + 1,
        # The schedule divides by the length of its rise, so a very short run has to rise for two steps.
        pct_start=max(0.2, 2.0 / (total + 1)),
    )
    losses: list[float] = []
    done = 0 if progress is None else _restore(progress.load(), model, optimiser, generator)
    if done:
        # as if it had been told of every step: the next one is of this number
        schedule.load_state_dict({**schedule.state_dict(), "last_epoch": done * steps - 1, "_step_count": done * steps})
        schedule.step()
    title = f"{show_progress}, training" if isinstance(show_progress, str) else "training"
    with tqdm(total=total, initial=done * steps, desc=title, unit="step", disable=not show_progress) as bar:
        for epoch in range(done + 1, config.epochs + 1):
            for loss in losses_of_a_pass():
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                losses.append(loss.item())
                bar.set_postfix(loss=f"{sum(losses[-200:]) / len(losses[-200:]):.4f}", refresh=False)
                bar.update()
            if on_epoch is not None:
                on_epoch(epoch, model)
            if progress is not None:
                progress.save(_state(epoch, model, optimiser, generator))
    return losses


def _state(
    epoch: int, model: nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator | None
) -> dict[str, Tensor]:
    """All that the further epochs depend on; the schedule follows from their number."""
    state = {"epoch": torch.tensor(epoch), **{f"model {name}": value for name, value in model.state_dict().items()}}
    if generator is not None:
        state["generator"] = generator.get_state()
    for place, moments in optimiser.state_dict()["state"].items():
        state |= {f"moment {place} {name}": value for name, value in moments.items()}
    return state


def _restore(
    state: Mapping[str, Tensor],
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator | None,
) -> int:
    """Put everything back to what :func:`_state` kept; the number of epochs that were done."""
    if not state:
        return 0
    model.load_state_dict({name[6:]: value for name, value in state.items() if name.startswith("model ")})
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        if name.startswith("moment "):
            _, place, moment = name.split()
            moments.setdefault(int(place), {})[moment] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    if generator is not None:
        generator.set_state(state["generator"])
    return int(state["epoch"])


def _losses(model: nn.Module, scenes: SceneSet, config: TrainingConfig, generator: torch.Generator) -> Iterator[Tensor]:
    remaining = config.masked_label == "remaining"
    for images, labels in scenes.batches(config.batch_size, config.masked_share, generator, remaining):
        yield functional.cross_entropy(model(images.contiguous(memory_format=torch.channels_last)), labels)


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """One thread and seeded initial weights, both put back afterwards.

    Sums over a batch are cut up by thread, so they would depend on how many there are; on one thread of a CPU,
    every operation used here gives the same bits each time.
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def accuracy(model: torch.nn.Module, seeds: range, config: SceneConfig | None = None) -> float:
    """Share of fresh, whole scenes whose class the model gives, scenes drawn from `seeds`."""
    right = 0
    for start in range(0, len(seeds), 64):
        scenes = [draw_scene(seed, config=config) for seed in seeds[start : start + 64]]
        with torch.inference_mode():
            answers = model(torch.stack([torch.from_numpy(scene.image) for scene in scenes])).argmax(dim=1)
        right += sum(scene.label == answer for scene, answer in zip(scenes, answers.tolist(), strict=True))
    return right / len(seeds)


def main() -> None:
    """Train as the options say, save the weights, print the accuracy on fresh scenes."""
    parser = argparse.ArgumentParser(description="Train the embedded model on scenes the package draws.")
    parser.add_argument("--seed", type=int, default=TrainingConfig.seed)
    parser.add_argument("--scenes", type=int, default=TrainingConfig.scenes)
    parser.add_argument("--epochs", type=int, default=TrainingConfig.epochs)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where to save the weights (safetensors)")
    options = parser.parse_args()
    config = TrainingConfig(seed=options.seed, scenes=options.scenes, epochs=options.epochs)
    model, losses = train(config, show_progress=True)
    save_file(model.state_dict(), options.out)
    print(f"mean loss of the last 200 steps: {sum(losses[-200:]) / len(losses[-200:]):.5f}")
    print(f"accuracy on 2000 fresh scenes: {accuracy(model, range(2000)):.2%}")
    print(f"saved {options.out} ({options.out.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
