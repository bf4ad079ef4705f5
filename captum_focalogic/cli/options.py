"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Picture = Annotated[
    Path | None,
    typer.Argument(metavar="[IMAGE]", help="A picture; without one, an embedded scene (for cascade:face, a face)."),
]
Model = Annotated[
    str,
    typer.Option("--model", "-m", metavar="MODEL", help="demo, torchvision:NAME, cascade:face, MODULE.py:NAME."),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="State dict for the model, safetensors or torch.save (never unpickled); 'random' with torchvision:NAME.",
    ),
]
Segmenter = Annotated[
    str | None,
    typer.Option(
        "--segmenter",
        "-s",
        metavar="NAME",
        help="slic, slic:NUMBER, grid, grid:ROWSxCOLUMNS, felzenszwalb, quickshift, watershed, sam:CHECKPOINT (Segment "
        "Anything), masks:ID (transformers), shapes:FILE.json, or a name that another package registers. "
        "By default the scene's own regions, or slic:12.",
    ),
]
Mask = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Label map to use as regions, .png (pixel values are region ids) or .npy; of the picture's size, or of "
        "the size the model sees.",
    ),
]
Criterion = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="When the prediction counts as unchanged: top1, topk:K, probability:SHARE (of the original), "
        "margin:NUMBER, label, threshold:NUMBER, tolerance:NUMBER.",
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
Target = Annotated[
    int | None, typer.Option(metavar="CLASS", help="Class to explain; by default the one that is predicted.")
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.")]
Batch = Annotated[
    str, typer.Option(metavar="auto|NUMBER", help="Images in one call of the model; auto measures what is fastest.")
]
Seed = Annotated[
    int, typer.Option(min=0, metavar="NUMBER", help="Which embedded scene; odd and even seeds show different classes.")
]
Progress = Annotated[bool, typer.Option("--progress/--no-progress", help="Show a progress bar on standard error.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for what is written.")]
