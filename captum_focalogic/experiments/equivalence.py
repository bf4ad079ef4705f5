"""Measures that are claimed to stay the same under many conditions, or not to."""

import math
from collections.abc import Mapping, Sequence

from captum_focalogic.experiments.findings import FEWEST, SMALL, Estimate, Finding, stays, untestable


def stays_under_all(claim: str, reading: str, changes: Mapping[str, Estimate | None]) -> Finding:
    """Confirmed if a measure stays under every condition that could be tested; the evidence says under which it does.

    Parameters
    ----------
    claim, reading : str
        See :class:`~captum_focalogic.experiments.findings.Finding`.
    changes : mapping of str to Estimate
        The change by condition; None where too few images define it.
    """
    found = {name: stays(claim, reading, change) for name, change in changes.items()}
    tested = [name for name, finding in found.items() if finding.verdict != "not testable here"]
    if not tested:
        why = next((finding.evidence for finding in found.values()), "there is nothing to compare with")
        return untestable(claim, reading, why)
    held = [name for name in tested if found[name].verdict == "confirmed"]
    parts = [f"stays under {len(held)} of {len(tested)}{_names(held)}"]
    parts += [f"{name} {changes[name]}" for name in tested if name not in held]
    parts += [f"{name}: {finding.evidence}" for name, finding in found.items() if name not in tested]
    return Finding(claim, reading, "confirmed" if held == tested else "not confirmed", "; ".join(parts))


def moves(claim: str, reading: str, found: Estimate | None) -> Finding:
    """Confirmed if the whole interval lies beyond :data:`~.findings.SMALL`, on either side."""
    if found is None or math.isnan(found.low):
        return untestable(claim, reading, f"defined for fewer than {FEWEST} images")
    holds = found.low >= SMALL or found.high <= -SMALL
    return Finding(claim, reading, "confirmed" if holds else "not confirmed", f"{found}, {found.count} images")


def _names(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""
