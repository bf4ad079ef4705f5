"""FocaLogic beside other methods, on the same question and by the same measures."""

from captum_focalogic.compare.case import Case
from captum_focalogic.compare.interactions import Interactions, interactions
from captum_focalogic.compare.measures import Measures
from captum_focalogic.compare.method import Answer, Method, from_pixels, from_regions
from captum_focalogic.compare.panels import figure, panel
from captum_focalogic.compare.running import METHODS, Comparison, MethodResult, compare, focalogic_method
from captum_focalogic.compare.tables import Averages, characteristics, summarise
from captum_focalogic.errors import SkippedError
from captum_focalogic.figures.plots import save_figure

__all__ = [
    "METHODS",
    "Answer",
    "Averages",
    "Case",
    "Comparison",
    "Interactions",
    "Measures",
    "Method",
    "MethodResult",
    "SkippedError",
    "characteristics",
    "compare",
    "figure",
    "focalogic_method",
    "from_pixels",
    "from_regions",
    "interactions",
    "panel",
    "save_figure",
    "summarise",
]
