"""The paper's experiments: the same code on embedded scenes and on a user's ImageNet folder."""

from captum_focalogic.experiments.catalogue import NAMES, Experiment, find_experiment, run_experiment
from captum_focalogic.experiments.configuration import Config, Embedded, Finder, ImageNet
from captum_focalogic.experiments.findings import Finding
from captum_focalogic.experiments.outcome import Outcome

__all__ = [
    "NAMES",
    "Config",
    "Embedded",
    "Experiment",
    "Finder",
    "Finding",
    "ImageNet",
    "Outcome",
    "find_experiment",
    "run_experiment",
]
