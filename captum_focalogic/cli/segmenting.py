"""What ``focalogic segment`` does."""

from pathlib import Path

import numpy as np

from captum_focalogic.cli.models import find_model, picture_tensor
from captum_focalogic.cli.printing import print_facts
from captum_focalogic.cli.subject import Subject, choose_segmenter, find_regions, open_picture
from captum_focalogic.cli.writing import make_folder, write_labels
from captum_focalogic.figures.overlays import regions_image
from captum_focalogic.logic import symbol


def cut(
    picture: Path, *, segmenter: str | None, mask: Path | None, model: str | None, weights: str | None, out: Path
) -> None:
    """Cut a picture, print its regions and write them.

    Raises
    ------
    FocaLogicError
        If an option names something that does not exist or does not fit.
    """
    segmenter_ = choose_segmenter(segmenter, mask)
    opened = open_picture(picture)
    named = None if model is None else find_model(model, weights)
    subject = Subject(picture.name, picture_tensor(opened) if named is None else named.see(opened), opened.size)
    label_map = find_regions(subject, named, segmenter_, mask)
    folder = make_folder(out)
    regions_image(subject.image.numpy(), label_map).save(folder / "regions.png")
    written = [str(folder / "regions.png")]
    if write_labels(folder / "labels.png", label_map):
        written.append("labels.png")
    region_ids, sizes = np.unique(label_map, return_counts=True)
    shares = (
        f"{symbol(region)!s:<6}{size / label_map.size:6.1%}"
        for region, size in zip(region_ids.tolist(), sizes.tolist(), strict=True)
    )
    print_facts(
        {
            "Picture": f"{subject.title}, {label_map.shape[1]}x{label_map.shape[0]}",
            "Regions": f"{len(region_ids)}, with their shares of the picture:",
            "": "\n".join(shares),
            "Written": ", ".join(written),
        }
    )
