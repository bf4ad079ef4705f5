"""``focalogic verify``: whether an explanation's claims hold."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.errors import reports_errors
from captum_focalogic.cli.output import print_lines
from captum_focalogic.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from captum_focalogic.focus import Focus
    from captum_focalogic.segmenters import Segmenter


@reports_errors
def verify(
    focus: options.FocusFile,
    image: options.Picture = None,
    model: options.Model = "demo",
    weights: options.Weights = None,
    criterion: options.Criterion = "top1",
    baseline: options.Baseline = "black",
    device: options.Device = "auto",
    batch: options.Batch = "auto",
    seed: options.Seed = 22,
    sample: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Most recorded verdicts to ask the model about again.")
    ] = 1_000,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Ask the model again whether what an explanation claims is true.

    Give the picture, model, criterion and baseline that it was made with. Leaves with 1 if a claim does not hold.
    """
    from captum_focalogic.cli.formulas import read_focus
    from captum_focalogic.cli.session import open_session, read_batch
    from captum_focalogic.verify import verify as ask_again

    rows = read_batch(batch)
    stored = read_focus(focus)
    opened = open_session(
        image=image,
        model=model,
        weights=weights,
        segmenter=stored_regions(stored, focus, image),
        baseline=baseline,
        criterion=criterion,
        device=device,
        seed=seed,
    )
    with opened as session:
        verification = ask_again(
            stored,
            session.model.forward,
            session.inputs,
            sample=sample,
            baselines=session.baselines,
            feature_mask=session.feature_mask,
            criterion=criterion,
            perturbations_per_eval=rows,
        )
    print_lines(
        {
            "Formula": stored.formula,
            "Claims": str(verification),
            "Evaluations": f"{verification.evaluations:,}",
        }
    )
    if not verification.holds:
        raise typer.Exit(1)


def stored_regions(focus: "Focus", path: Path, image: Path | None) -> "Segmenter":
    """The regions of a stored explanation, for the image that it is about.

    Raises
    ------
    InputError
        If it has none; when called, if the image is of another size.
    """
    label_map = focus.label_map
    if label_map is None:
        raise InputError(f"{path} is not about one picture; verify it in Python, with captum_focalogic.verify")

    def regions(seen: "Tensor") -> "NDArray[np.int64]":
        height, width = seen.shape[1:]
        if label_map.shape != (height, width):
            raise InputError(
                f"{path} is about a picture of {label_map.shape[1]}x{label_map.shape[0]} pixels, but the model sees "
                f"{width}x{height} of {'its example' if image is None else image.name}; give the picture and the "
                "model that it was made with"
            )
        return label_map

    return regions
