"""What an experiment found, and the files it is written to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captum_focalogic.experiments.findings import Finding
from captum_focalogic.figures.plots import rendered
from captum_focalogic.study.store import write_whole
from captum_focalogic.tables import Column, Table


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an experiment found.

    Attributes
    ----------
    tables : sequence of Table
        The first is the experiment's table; their titles say what they show.
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
        files[f"{name}.csv" if number == 1 else f"{name}-{number}.csv"] = table.csv().encode()
    for kind in ("svg", "png"):
        files[f"{name}.{kind}"] = rendered(outcome.figure, kind)
    files[f"{name}.md"] = page(outcome, name, title, source, how).encode()
    for file, octets in files.items():
        write_whole(folder / file, octets)
    return [folder / file for file in files]


def page(outcome: Outcome, name: str, title: str, source: str, how: Sequence[str]) -> str:
    """The experiment as Markdown."""
    findings = Table(
        (
            "the paper's finding",
            Column("states", "left"),
            Column("here", "left", strong=True),
            Column("measured", "left"),
        ),
        tuple((found.claim, found.reading, found.verdict, found.evidence) for found in outcome.findings),
    )
    parts = [f"# {title}", f"After the paper's {source}.", *how]
    if outcome.findings:
        parts += ["## Findings", findings.markdown()]
    parts.append("## Measured")
    parts += [table.markdown() for table in outcome.tables]
    parts.append(f"![{title}]({name}.svg)")
    if outcome.notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in outcome.notes)]
    return "\n\n".join(parts) + "\n"
