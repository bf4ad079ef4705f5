"""``focalogic verify``: whether an explanation's claims hold."""

from typing import Annotated

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.allocator import uncollected_imports
from captum_focalogic.cli.errors import reports_errors
from captum_focalogic.cli.output import print_lines


@reports_errors
def verify(
    focus: options.FocusFile,
    image: options.ImageFile = None,
    model: options.StoredModel = None,
    weights: options.Weights = None,
    mean: options.Mean = None,
    std: options.Std = None,
    criterion: options.StoredCriterion = None,
    baseline: options.StoredBaseline = None,
    device: options.Device = "auto",
    batch: options.Batch = "auto",
    seed: options.Seed = 22,
    sample: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Most recorded verdicts to ask the model about again.")
    ] = 1_000,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Ask the model again whether what an explanation claims is true.

    Give the image and the model that it was made with. Leaves with 1 if a claim does not hold.
    """
    with uncollected_imports():
        from captum_focalogic.cli.formulas import read_focus
        from captum_focalogic.cli.session import open_stored, read_batch
        from captum_focalogic.verify import verify as ask_again

    rows = read_batch(batch)
    stored = read_focus(focus)
    judged_by = criterion or stored.provenance.criterion or "top1"
    opened = open_stored(
        stored,
        focus,
        image=image,
        model=model or stored.provenance.model or options.USUAL_MODEL,
        weights=weights,
        mean=mean,
        std=std,
        baseline=baseline,
        criterion=judged_by,
        device=device,
        seed=seed,
    )
    with opened as session:
        verification = ask_again(
            stored,
            session.classifier.forward,
            session.inputs,
            sample=sample,
            labels=session.classifier.labels,
            baselines=session.baselines,
            feature_mask=session.feature_mask,
            criterion=judged_by,
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
