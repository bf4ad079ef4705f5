"""Options that several commands share, each written once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from captum_focalogic.search.strategies import SEARCHES

USUAL_MODEL = "efficientnet-lite0"
"""What explains an image unless another model is named: a real classifier that needs no hub."""

USUAL_CRITERION = "top1+0.5"
USUAL_BASELINE = "mean"
USUAL_EVALUATIONS = 1_000
"""What one image is asked unless told otherwise, as in :func:`captum_focalogic.explain_image`."""


class ReadingName(StrEnum):
    """What is meant by a final state."""

    irreducible = "irreducible"
    minimal = "minimal"
    smallest = "smallest"


USUAL_READING = ReadingName.smallest

ImageFile = Annotated[
    Path | None,
    typer.Argument(metavar="[IMAGE]", help="An image; without one, an example that belongs to the model."),
]
FocusFile = Annotated[Path, typer.Argument(metavar="FOCUS.json", help="What focalogic explain wrote.")]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="efficientnet-lite0, demo, torchvision:NAME, cascade:face, MODULE.py:NAME.",
    ),
]
StoredModel = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", help="As for explain; by default the one that the explanation names."
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="State dict for the model, safetensors or torch.save (never unpickled); 'random' with torchvision:NAME.",
    ),
]
_NORMALISED = "one for each channel, as 0.485,0.456,0.406, or one for all; for a model that takes its images so."
Mean = Annotated[
    str | None, typer.Option(metavar="NUMBERS", help=f"Mean that the model's images are normalised by, {_NORMALISED}")
]
Std = Annotated[
    str | None, typer.Option(metavar="NUMBERS", help=f"Standard deviation that goes with --mean, {_NORMALISED}")
]
Segmenter = Annotated[
    str | None,
    typer.Option(
        "--segmenter",
        "-s",
        metavar="NAME",
        help="slic, slic:NUMBER, grid, grid:ROWSxCOLUMNS, felzenszwalb, quickshift, watershed, features:NUMBER (the "
        "model's own), sam:CHECKPOINT (Segment Anything), masks:ID (transformers), shapes:FILE.json, or a name that "
        "another package registers. By default the scene's own regions, or slic:12.",
    ),
]
Mask = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Label map to use as regions, .png (pixel values are region ids) or .npy; of the image's size, or of "
        "the size the model sees.",
    ),
]
Search = Annotated[str, typer.Option(metavar="NAME", help=f"{', '.join(SEARCHES)}.")]
Reading = Annotated[
    ReadingName,
    typer.Option(
        metavar="NAME",
        help="Final states are: irreducible, what deletions lead to until none keeps the prediction (gives the other "
        "two as well); minimal, those no part of which suffices; smallest, those with the fewest regions.",
    ),
]
Criterion = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="When the prediction counts as unchanged: top1, top1+SHARE (with this share of its probability), topk:K, "
        "probability:SHARE, margin:NUMBER, over:CLASS, label, threshold:NUMBER, tolerance:NUMBER.",
    ),
]


class RemovalName(StrEnum):
    """How dropped regions are taken away."""

    fill = "fill"
    tokens = "tokens"


Removal = Annotated[
    RemovalName,
    typer.Option(
        metavar="NAME",
        help="How dropped regions are taken away: fill, with --baseline; tokens, left out of a vision transformer, "
        "which gets no token of them (regions then follow its patches).",
    ),
]
Baseline = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What dropped regions are filled with: black, white, a grey such as 0.5, mean, region-mean, blur, "
        "blur:SIGMA.",
    ),
]
StoredCriterion = Annotated[
    str | None, typer.Option(metavar="NAME", help="By default the one that the explanation was made with.")
]
StoredBaseline = Annotated[
    str | None, typer.Option(metavar="NAME", help="By default the one that the explanation was made with.")
]
Target = Annotated[
    str | None,
    typer.Option(metavar="CLASS", help="Class to explain, by number or name; by default the predicted one."),
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="CLASS",
        help="Why this class and not that one, by its number or name: what keeps at least half of the lead over it.",
    ),
]
Zoom = Annotated[
    int,
    typer.Option(
        min=0,
        max=8,
        metavar="LEVELS",
        help="Levels to zoom in: cut the regions that are enough into parts, and look for parts that are.",
    ),
]
MaxEvaluations = Annotated[
    int,
    typer.Option(
        min=0, metavar="NUMBER", help="Most region sets the model is asked about for one image; 0 for no limit."
    ),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.")]
Batch = Annotated[
    str, typer.Option(metavar="auto|NUMBER", help="Images in one call of the model; auto measures what is fastest.")
]
Seed = Annotated[
    int, typer.Option(min=0, metavar="NUMBER", help="Which embedded scene; odd and even seeds show different classes.")
]
Truth = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Where the object is: own (what the data says), none, masks:FOLDER (for a/b.jpg the mask "
        "FOLDER/a/b.png), coco:FILE.json, voc:FOLDER, grounded-sam or sam3 (found by the class's name), "
        "PATH/MODULE.py:NAME, a function of (image, label, name) that returns masks.",
    ),
]
Progress = Annotated[bool, typer.Option("--progress/--no-progress", help="Show a progress bar on standard error.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for what is written.")]
ColourBlind = Annotated[bool, typer.Option("--colour-blind", help="Blue stripes and yellow in place of red and white.")]
Report = Annotated[bool, typer.Option("--report", help="Write report.html too, an interactive page.")]
Everything = Annotated[
    bool, typer.Option("--all", help="Print all there is to say, final states and certificate in full.")
]
Traceback = Annotated[
    bool, typer.Option("--traceback", help="On failure, show where it happened instead of one sentence.")
]
