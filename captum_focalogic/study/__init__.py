"""Whole data sets: one row an image, kept so that nothing is lost, and what the rows say together."""

from typing import TYPE_CHECKING, Any

from captum_focalogic.errors import StudyError
from captum_focalogic.study.child import Subprocess
from captum_focalogic.study.data import data_from_text, hugging_face, image_folder, listed, scenes
from captum_focalogic.study.engines import Engine, Local, RayEngine
from captum_focalogic.study.items import Item, ModelFactory, Sample
from captum_focalogic.study.rows import MEASURES, same_rows, states_of
from captum_focalogic.study.run import run_items, run_study
from captum_focalogic.study.settings import StudySettings
from captum_focalogic.study.store import read_rows, read_settings
from captum_focalogic.study.summary import compare_rows, compare_runs, mean_of, summarise
from captum_focalogic.study.tables import Mean, RunComparison, Summary

if TYPE_CHECKING:
    from captum_focalogic.study.torch_metrics import FocusDivergence, FocusPrecision, FocusRecall

__all__ = [
    "MEASURES",
    "Engine",
    "FocusDivergence",
    "FocusPrecision",
    "FocusRecall",
    "Item",
    "Local",
    "Mean",
    "ModelFactory",
    "RayEngine",
    "RunComparison",
    "Sample",
    "StudyError",
    "StudySettings",
    "Subprocess",
    "Summary",
    "compare_rows",
    "compare_runs",
    "data_from_text",
    "hugging_face",
    "image_folder",
    "listed",
    "mean_of",
    "read_rows",
    "read_settings",
    "run_items",
    "run_study",
    "same_rows",
    "scenes",
    "states_of",
    "summarise",
]

_ON_USE = {
    "FocusDivergence": "torch_metrics",
    "FocusPrecision": "torch_metrics",
    "FocusRecall": "torch_metrics",
}
"""Names whose modules need packages that everything else here does without."""


def __getattr__(name: str) -> Any:
    if name in _ON_USE:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_ON_USE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
