"""FocaLogic beside other methods, on the same question and by the same measures."""

from captum_focalogic.compare.comparison import METHODS, Comparison, MethodResult, compare, focalogic_method
from captum_focalogic.compare.decision import Decision
from captum_focalogic.compare.interactions import Interactions, interactions
from captum_focalogic.compare.measures import Measures
from captum_focalogic.compare.method import Attribution, Method, from_pixels, from_regions
from captum_focalogic.compare.panels import figure, panel, verdict
from captum_focalogic.compare.tables import Averages, characteristics, summarise
from captum_focalogic.errors import SkippedError
from captum_focalogic.figures.plots import save_figure

__all__ = [
    "METHODS",
    "Attribution",
    "Averages",
    "Comparison",
    "Decision",
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
    "verdict",
]
