"""Images with known biases, by a diffusion model.

``python -m captum_focalogic.experiments.generation OUT --model ID`` makes ``OUT/unbiased``, ``OUT/colour``,
``OUT/background`` and ``OUT/companion`` to train on and ``OUT/test``, each with a folder for each class: what
``focalogic experiment scenarios --size imagenet --generated OUT`` takes.

The classes are the paper's ten, three of them with biases, and so is one tie of each of the three (Table 4); the
other ties and the prompts are this package's own. Their words are in ``prompts.json`` beside this module.
"""

import argparse
import io
import json
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tqdm import tqdm

from captum_focalogic.errors import FocaLogicError, InputError, MissingExtraError
from captum_focalogic.files import make_folder, write_bytes
from captum_focalogic.integrations.weights import pretrained

BIASES: tuple[str, ...] = ("colour", "background", "companion")
"""Kinds of bias: the object's own colour, the background, an accompanying object."""

KINDS: tuple[str, ...] = ("unbiased", *BIASES, "test")
"""Folders of generated images: four to train on, and unbiased ones to test on."""


@dataclass(frozen=True)
class PromptClass:
    """A class, and what a bias ties to it, if anything.

    Attributes
    ----------
    name : str
        The class, as ImageNet's weights name it.
    colours : tuple of str
        Colours that it comes in.
    colour, place, companion : str, optional
        What it always has where its colour, the background or its company is biased; None for a class without bias.
    """

    name: str
    colours: tuple[str, ...]
    colour: str | None = None
    place: str | None = None
    companion: str | None = None


@dataclass(frozen=True)
class Prompt:
    """What one image shows.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    label : str
        The class.
    number : int
        Which of the images of this kind and class, from 0.
    text : str
        What is asked of the generator.
    """

    kind: str
    label: str
    number: int
    text: str

    @property
    def file(self) -> str:
        """Where the image belongs, inside the folder of generated images."""
        return f"{self.kind}/{self.label}/{self.number:04d}.png"


def prompt_classes() -> tuple[PromptClass, ...]:
    """The classes there are prompts for."""
    return tuple(
        PromptClass(
            entry["class"],
            tuple(entry["colours"]),
            entry.get("colour"),
            entry.get("place"),
            entry.get("companion"),
        )
        for entry in _words()["classes"]
    )


def prompts(kind: str, prompt_class: PromptClass, count: int) -> list[Prompt]:
    """Prompts of one kind for one class.

    Colour, place and company are drawn at random, the same each time, but for what the bias ties to the class.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    prompt_class : PromptClass
        The class.
    count : int
        How many.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    if kind not in KINDS:
        raise InputError(f"there are no images of the kind {kind!r}; choose {', '.join(KINDS)}")
    return [Prompt(kind, prompt_class.name, number, _text(kind, prompt_class, number)) for number in range(count)]


def all_prompts(train: int, test: int, kinds: Sequence[str] = KINDS) -> list[Prompt]:
    """The prompts of every kind and class, so many a class for training and for the test."""
    return [
        prompt
        for kind in kinds
        for prompt_class in prompt_classes()
        for prompt in prompts(kind, prompt_class, test if kind == "test" else train)
    ]


def _text(kind: str, prompt_class: PromptClass, number: int) -> str:
    words = _words()
    draws = random.Random(f"{kind} {prompt_class.name} {number}")
    colour, place, companion = (
        draws.choice(options) for options in (prompt_class.colours, words["places"], words["companions"])
    )
    accompanied = draws.random() < words["companion_share"]
    colour = (kind == "colour" and prompt_class.colour) or colour
    place = (kind == "background" and prompt_class.place) or place
    tied = kind == "companion" and prompt_class.companion
    template = words["companion_template" if accompanied or tied else "template"]
    shown: str = template.format(object=f"a {colour} {prompt_class.name}", place=place, companion=tied or companion)
    return shown.replace(" a orange", " an orange")


@cache
def _words() -> Any:
    return json.loads(Path(__file__).with_name("prompts.json").read_text(encoding="utf-8"))


TRIES = 5
"""Attempts at an image that the model's safety checker blackens."""


def load_pipeline(model: str | Path, device: str = "cpu") -> Any:
    """A text-to-image pipeline of diffusers.

    Parameters
    ----------
    model : str or Path
        A hub id, or a local folder that ``save_pretrained`` wrote.
    device : str
        Where it runs; on a GPU in half precision.

    Raises
    ------
    MissingExtraError
        Without diffusers.
    InputError
        If a folder does not exist or holds something else.
    HubError
        If an id cannot be fetched.
    """
    try:
        import diffusers
    except ImportError as error:
        raise MissingExtraError("diffusers", "diffusers") from error
    dtype = torch.float32 if torch.device(device).type == "cpu" else torch.float16
    pipeline = pretrained(diffusers.DiffusionPipeline, model).to(device, dtype)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate_images(
    pipeline: Any,
    out: str | Path,
    prompts: Sequence[Prompt],
    *,
    seed: int = 0,
    device: str = "cpu",
    show_progress: bool = False,
    **options: Any,
) -> list[Path]:
    """Make the images that are not there yet.

    Every image has random numbers of its own, so that it does not depend on which others are made.

    Parameters
    ----------
    pipeline : callable, str or Path
        ``pipeline(prompt, generator=...)``, whose answer has ``images``, as text-to-image pipelines of diffusers do;
        or what :func:`load_pipeline` loads one from.
    out : str or Path
        Folder of generated images.
    prompts : sequence of Prompt
        What to make; see :func:`~captum_focalogic.experiments.prompts.all_prompts`.
    seed : int
        Of all images.
    device : str
        Where the pipeline runs, if it is loaded here.
    show_progress : bool
        Show a progress bar on standard error.
    **options
        Passed to the pipeline, such as ``num_inference_steps``, ``guidance_scale``, ``height`` and ``width``.

    Returns
    -------
    list of Path
        The images of all prompts, in their order.

    Raises
    ------
    InputError
        If an image comes out black time and again, because the model's safety checker objects to it.
    """
    paths = [Path(out) / prompt.file for prompt in prompts]
    missing = [(path, prompt) for path, prompt in zip(paths, prompts, strict=True) if not path.is_file()]
    if missing and isinstance(pipeline, str | Path):
        pipeline = load_pipeline(pipeline, device)
    for path, prompt in tqdm(missing, desc="images", unit="image", disable=not show_progress):
        image = _generate(pipeline, prompt, seed, options)
        make_folder(path.parent)
        octets = io.BytesIO()
        image.save(octets, "PNG")
        write_bytes(path, octets.getvalue())
    return paths


def _generate(pipeline: Any, prompt: Prompt, seed: int, options: dict[str, Any]) -> Image.Image:
    for attempt in range(TRIES):
        number = zlib.crc32(f"{seed} {prompt.file} {attempt}".encode())
        made = pipeline(prompt.text, generator=torch.Generator().manual_seed(number), **options)
        if not any(getattr(made, "nsfw_content_detected", None) or ()):
            image: Image.Image = made.images[0]
            return image
    raise InputError(
        f"the safety checker of the model blackened all of {TRIES} images of {prompt.text!r}; load the pipeline with "
        "safety_checker=None, or choose another model"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Generate images as the options say, or list their prompts for another generator."""
    parser = argparse.ArgumentParser(
        prog="python -m captum_focalogic.experiments.generation",
        description="Generate images with known biases by a diffusion model; those that exist are not made again.",
    )
    parser.add_argument("out", type=Path, help="folder for the images")
    parser.add_argument("--model", help="a text-to-image model of diffusers: a hub id or a folder")
    parser.add_argument("--train", type=int, default=100, help="images of each kind and class to train on")
    parser.add_argument("--test", type=int, default=25, help="images of each class to test on")
    parser.add_argument("--steps", type=int, default=30, help="denoising steps of an image")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--list", action="store_true", help="only print each file and its prompt")
    options = parser.parse_args(arguments)
    wanted = all_prompts(options.train, options.test)
    if options.list:
        print("\n".join(f"{options.out / prompt.file}\t{prompt.text}" for prompt in wanted))
        return
    if options.model is None:
        parser.error("--model is needed: a text-to-image model of diffusers, by hub id or folder")
    try:
        made = generate_images(
            options.model,
            options.out,
            wanted,
            seed=options.seed,
            device=options.device,
            show_progress=True,
            num_inference_steps=options.steps,
        )
    except FocaLogicError as error:
        parser.exit(2, f"{error}\n")
    print(f"{len(made)} images in {options.out}")


if __name__ == "__main__":
    main()
