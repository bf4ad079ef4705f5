"""Searches for final states: pure functions over bits, without torch (paper section 3.2)."""

from captum_focalogic.search.anytime import Anytime
from captum_focalogic.search.ascending import Ascending
from captum_focalogic.search.beam import Beam
from captum_focalogic.search.certificate import READINGS, Certificate, Reading
from captum_focalogic.search.chains import Chains
from captum_focalogic.search.exhaustive import Exhaustive
from captum_focalogic.search.frugal import Frugal
from captum_focalogic.search.hitting_sets import HittingSets
from captum_focalogic.search.record import Evaluated
from captum_focalogic.search.run import Run, SearchResult, Strategy, enumerate_final_states
from captum_focalogic.search.strategies import auto_strategy

__all__ = [
    "READINGS",
    "Anytime",
    "Ascending",
    "Beam",
    "Certificate",
    "Chains",
    "Evaluated",
    "Exhaustive",
    "Frugal",
    "HittingSets",
    "Reading",
    "Run",
    "SearchResult",
    "Strategy",
    "auto_strategy",
    "enumerate_final_states",
]
