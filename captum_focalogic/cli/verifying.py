"""What ``focalogic verify`` does."""

from pathlib import Path

from captum_focalogic.cli.facts import print_facts
from captum_focalogic.cli.models import Labels, NamedModel
from captum_focalogic.cli.setting import Setting, prepare, read_batch
from captum_focalogic.cli.sources import read_focus
from captum_focalogic.cli.subject import Subject
from captum_focalogic.errors import InputError
from captum_focalogic.focus import Focus
from captum_focalogic.verify import Verification, verify


def check(
    path: Path,
    *,
    picture: Path | None,
    model: str,
    weights: str | None,
    criterion: str,
    baseline: str,
    device: str,
    batch: str,
    seed: int,
    sample: int,
) -> bool:
    """Verify a focus from a file and print every claim; returns whether all that were checked hold.

    Raises
    ------
    FocaLogicError
        If the file is no focus, or an option names something that does not exist or does not fit.
    """
    perturbations = read_batch(batch)
    focus = read_focus(path)
    setting = setting_of(
        focus,
        path,
        picture=picture,
        model=model,
        weights=weights,
        criterion=criterion,
        baseline=baseline,
        device=device,
        seed=seed,
    )
    verification: Verification = setting.ask(
        lambda forward: verify(
            focus,
            forward,
            setting.inputs,
            sample=sample,
            baselines=setting.baselines,
            feature_mask=setting.feature_mask,
            criterion=criterion,
            perturbations_per_eval=perturbations,
        )
    )
    print_facts(
        {
            "Formula": focus.formula,
            "Claims": str(verification),
            "Evaluations": f"{verification.evaluations:,}",
        }
    )
    return verification.holds


def setting_of(
    focus: Focus,
    path: Path,
    *,
    picture: Path | None,
    model: str,
    weights: str | None,
    criterion: str,
    baseline: str,
    device: str,
    seed: int,
) -> Setting:
    """What a stored focus was made with, as options tell it.

    Raises
    ------
    FocaLogicError
        If an option names something that does not exist or does not fit the focus.
    """
    label_map = focus.label_map
    if label_map is None:
        raise InputError(f"{path} is not about one picture; verify it in Python, with captum_focalogic.verify")

    def regions(subject: Subject, _: NamedModel) -> Labels:
        height, width = subject.image.shape[1:]
        if label_map.shape != (height, width):
            raise InputError(
                f"{path} is about a picture of {label_map.shape[1]}x{label_map.shape[0]} pixels, but the model sees "
                f"{width}x{height} of {subject.title}; give the picture and the model that it was made with"
            )
        return label_map

    return prepare(
        picture=picture,
        model=model,
        weights=weights,
        regions=regions,
        baseline=baseline,
        criterion=criterion,
        device=device,
        seed=seed,
    )
