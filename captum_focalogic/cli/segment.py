"""``focalogic segment``: what an image's regions are."""

from pathlib import Path
from typing import Annotated

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.allocator import uncollected_imports
from captum_focalogic.cli.errors import reports_errors
from captum_focalogic.cli.output import print_lines, write_labels
from captum_focalogic.files import make_folder


@reports_errors
def segment(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image.")],
    segmenter: options.Segmenter = None,
    mask: options.Mask = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Cut the part and size of the image that this model sees; see explain."),
    ] = None,
    weights: options.Weights = None,
    out: options.Out = Path("focalogic-out"),
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Show how an image is cut into regions, before explaining with them.

    Writes to --out: regions.png, with the region ids, and labels.png, whose pixel values are the ids. Edit the latter
    in any painting program and give it to focalogic explain as --mask.
    """
    import numpy as np

    with uncollected_imports():
        from captum_focalogic.classifier import find_classifier
        from captum_focalogic.cli.session import choose_segmenter
        from captum_focalogic.figures.overlays import regions_image
        from captum_focalogic.images import write_image
        from captum_focalogic.logic import symbol
        from captum_focalogic.segmenters import read_label_map
        from captum_focalogic.session import find_regions, see_image

    cut = choose_segmenter(segmenter, mask)
    named = None if model is None else find_classifier(model, weights)
    seen = see_image(image, named, image.name)
    label_map = find_regions(seen, named, cut if mask is None else read_label_map(mask), f"the mask {mask}")
    folder = make_folder(out)
    write_image(folder / "regions.png", regions_image(seen.pixels.numpy(), label_map))
    written = [str(folder / "regions.png")]
    if write_labels(folder / "labels.png", label_map):
        written.append("labels.png")
    region_ids, sizes = np.unique(label_map, return_counts=True)
    shares = (
        f"{symbol(region)!s:<6}{size / label_map.size:6.1%}"
        for region, size in zip(region_ids.tolist(), sizes.tolist(), strict=True)
    )
    print_lines(
        {
            "Image": f"{seen.title}, {label_map.shape[1]}x{label_map.shape[0]}",
            "Regions": f"{len(region_ids)}, with their shares of the image:",
            "": "\n".join(shares),
            "Written": ", ".join(written),
        }
    )
