"""What an experiment found, and the files it is written to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captum_focalogic.compare.tables import markdown_table
from captum_focalogic.experiments.findings import Finding
from captum_focalogic.report.html import Table
from captum_focalogic.study.plots import rendered
from captum_focalogic.study.store import write_whole
from captum_focalogic.study.tables import csv_text


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an experiment found.

    Attributes
    ----------
    tables : sequence of Table
        The first is the experiment's table; their captions say what they show.
    figure : matplotlib Figure
        Its figure.
    findings : sequence of Finding
        The paper's qualitative findings, held against it.
    notes : sequence of str
        What a reader has to know: what differs from the paper, what could not be done.
    """

    tables: Sequence[Table]
    figure: Any
    findings: Sequence[Finding]
    notes: Sequence[str] = ()


def write_outcome(outcome: Outcome, name: str, title: str, source: str, how: Sequence[str], folder: Path) -> list[Path]:
    """Write NAME.md, NAME.csv (NAME-2.csv and so on for further tables), NAME.svg and NAME.png into a folder.

    Parameters
    ----------
    outcome : Outcome
    name, title, source : str
        Of the experiment.
    how : sequence of str
        Sentences on how it was done: size, seed, command.
    folder : Path
        Where to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, bytes] = {}
    for number, table in enumerate(outcome.tables, start=1):
        files[f"{name}.csv" if number == 1 else f"{name}-{number}.csv"] = csv_text([table.header, *table.rows]).encode()
    for kind in ("svg", "png"):
        files[f"{name}.{kind}"] = rendered(outcome.figure, kind)
    files[f"{name}.md"] = page(outcome, name, title, source, how).encode()
    for file, octets in files.items():
        write_whole(folder / file, octets)
    return [folder / file for file in files]


def page(outcome: Outcome, name: str, title: str, source: str, how: Sequence[str]) -> str:
    """The experiment as Markdown."""
    findings = Table(
        ("the paper's finding", "states", "here", "measured"),
        tuple((found.claim, found.reading, f"**{found.verdict}**", found.evidence) for found in outcome.findings),
    )
    parts = [f"# {title}", f"After the paper's {source}.", *how]
    if outcome.findings:
        parts += ["## Findings", markdown(findings)]
    parts.append("## Measured")
    for table in outcome.tables:
        parts += [part for part in (table.caption, markdown(table)) if part]
    parts.append(f"![{title}]({name}.svg)")
    if outcome.notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in outcome.notes)]
    return "\n\n".join(parts) + "\n"


def markdown(table: Table) -> str:
    """A table as Markdown."""
    return markdown_table(table.header, table.rows)
