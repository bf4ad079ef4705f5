"""Asking the model: one scheduler for all searches in flight."""

from captum_focalogic.oracle.batching import AutoBatching, Batching, FixedBatching
from captum_focalogic.oracle.forward import Forward
from captum_focalogic.oracle.scheduler import Case, Scheduler
from captum_focalogic.oracle.targets import Targets, resolve_targets

__all__ = ["AutoBatching", "Batching", "Case", "FixedBatching", "Forward", "Scheduler", "Targets", "resolve_targets"]
