"""Asking the model: requests become jobs, jobs batches, and batches answers."""

from captum_focalogic.oracle.batching import AutoBatching, Batching, FixedBatching, batching_for
from captum_focalogic.oracle.driving import drive, listed, search
from captum_focalogic.oracle.forward import BatchPadding, Forward
from captum_focalogic.oracle.memory import Answers, Memory, Summaries
from captum_focalogic.oracle.references import AnyCriterion, References
from captum_focalogic.oracle.scheduler import Asker, Job, Scheduler
from captum_focalogic.oracle.targets import Targets, resolve_targets
from captum_focalogic.oracle.turns import Turns

__all__ = [
    "Answers",
    "AnyCriterion",
    "Asker",
    "AutoBatching",
    "BatchPadding",
    "Batching",
    "FixedBatching",
    "Forward",
    "Job",
    "Memory",
    "References",
    "Scheduler",
    "Summaries",
    "Targets",
    "Turns",
    "batching_for",
    "drive",
    "listed",
    "resolve_targets",
    "search",
]
