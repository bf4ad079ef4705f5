"""The paper's experiments: the same code on embedded scenes and on a user's ImageNet folder."""

from captum_focalogic.experiments.framework import Conclusion, Config, Embedded, Experiment, Finding, ImageNet, Settings
from captum_focalogic.experiments.photos import Photos
from captum_focalogic.experiments.registry import NAMES, find_experiment, run_experiment

__all__ = [
    "NAMES",
    "Conclusion",
    "Config",
    "Embedded",
    "Experiment",
    "Finding",
    "ImageNet",
    "Photos",
    "Settings",
    "find_experiment",
    "run_experiment",
]
