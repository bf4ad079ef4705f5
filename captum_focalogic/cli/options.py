"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

_MODEL_HELP = (
    "demo; torchvision:NAME, such as torchvision:resnet18; cascade:face; or PATH/MODULE.py:NAME, where NAME is an "
    "nn.Module, a function of images (N, 3, H, W) in [0, 1], or a function without required arguments that returns one "
    "of these. The module may define preprocess(picture), which returns the image (3, H, W) in [0, 1] or a picture, "
    "and labels, a list of class names or a function that returns it."
)

Picture = Annotated[
    Path | None,
    typer.Argument(metavar="[IMAGE]", help="A picture; without one, an embedded scene (for cascade:face, a face)."),
]
Model = Annotated[str, typer.Option("--model", "-m", help=_MODEL_HELP)]
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
        "--segmenter", "-s", help="slic, slic:NUMBER, grid, grid:ROWSxCOLUMNS. By default the scene's own, or slic:12."
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
        help="When the prediction counts as unchanged: top1, topk:K, probability:SHARE (of the original), "
        "margin:NUMBER, label, threshold:NUMBER, tolerance:NUMBER."
    ),
]
Baseline = Annotated[
    str,
    typer.Option(
        help="What dropped regions are filled with: black, white, a grey such as 0.5, mean, region-mean, blur, "
        "blur:SIGMA."
    ),
]
Target = Annotated[int | None, typer.Option(help="Class to explain; by default the one that is predicted.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Batch = Annotated[str, typer.Option(help="Images in one call of the model; auto measures what is fastest.")]
Seed = Annotated[int, typer.Option(min=0, help="Which embedded scene; odd and even seeds show different classes.")]
Progress = Annotated[bool, typer.Option("--progress/--no-progress", help="Show a progress bar on standard error.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for what is written.")]
