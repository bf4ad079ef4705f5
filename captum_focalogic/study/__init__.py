"""Whole data sets: one row an image, kept so that nothing is lost, and what the rows say together."""

from captum_focalogic.study.data import data_from_text, hugging_face, image_folder, listed, scenes
from captum_focalogic.study.engines import Engine, Local
from captum_focalogic.study.items import Item, Model, Recipe, Sample
from captum_focalogic.study.matching import MaskFiles, Match
from captum_focalogic.study.plan import Plan
from captum_focalogic.study.rows import MEASURES, same_rows, states_of
from captum_focalogic.study.run import run_study
from captum_focalogic.study.store import StudyError, read_rows, read_settings

__all__ = [
    "MEASURES",
    "Engine",
    "Item",
    "Local",
    "MaskFiles",
    "Match",
    "Model",
    "Plan",
    "Recipe",
    "Sample",
    "StudyError",
    "data_from_text",
    "hugging_face",
    "image_folder",
    "listed",
    "read_rows",
    "read_settings",
    "run_study",
    "same_rows",
    "scenes",
    "states_of",
]
