"""Searches for final states: pure functions over bits, without torch (paper section 3.2)."""

from captum_focalogic.search.certificate import READINGS, Certificate, Reading
from captum_focalogic.search.enumerate import enumerate_final_states
from captum_focalogic.search.exhaustive import Exhaustive
from captum_focalogic.search.record import Evaluated
from captum_focalogic.search.run import Run, SearchResult, Strategy

__all__ = [
    "READINGS",
    "Certificate",
    "Evaluated",
    "Exhaustive",
    "Reading",
    "Run",
    "SearchResult",
    "Strategy",
    "enumerate_final_states",
]
