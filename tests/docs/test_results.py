"""What the pages of results have from runs: placed as written, with a figure, a command and corrected verdicts."""

import re
import shlex
from pathlib import Path

import pytest
import result_pages
from typer.testing import CliRunner

from captum_focalogic.cli import app
from captum_focalogic.experiments import NAMES

DOCS = Path(__file__).parents[2] / "docs"
PARTS = [
    (page.stem, part["key"], part["text"])
    for page in sorted((DOCS / "results").glob("*.md"))
    for part in result_pages.PART.finditer(page.read_text(encoding="utf-8"))
]
IDS = [key for _, key, _ in PARTS]

OLDER = {"baselines", "efficiency", "models", "scenarios", "stability", "training"}
"""Runs of before verdicts were corrected."""

RUN = """# Efficiency

After the paper's figure 11.

## Findings

| a | b |

![Efficiency](efficiency.svg)
"""


def test_a_runs_page_is_placed_below_its_heading_and_words_of_people_stay() -> None:
    page = (
        "# Efficiency\n\nOurs.\n\n<!-- run one -->\nold\n<!-- end of run -->\n\n## On photographs\n\n"
        "<!-- run two -->\nolder, experiment-two.png\n<!-- end of run -->\n\nRead so.\n"
    )
    once = result_pages.placed(page, "two", RUN)
    assert once.startswith(
        "# Efficiency\n\nOurs.\n\n<!-- run one -->\nold\n<!-- end of run -->\n\n## On photographs\n\n"
    )
    assert "\n### Findings\n" in once
    assert "# Efficiency" not in once.partition("## On photographs")[2]
    assert "](../images/experiment-two.png)" in once
    assert once.endswith("<!-- end of run -->\n\nRead so.\n")
    assert result_pages.placed(once, "two", RUN) == once
    assert "\n## Findings\n" in result_pages.placed(page, "one", RUN)
    assert "](../images/experiment-one.svg)" in result_pages.placed(page, "one", RUN)
    with pytest.raises(ValueError, match="no part for three"):
        result_pages.placed(page, "three", RUN)


def test_every_experiment_has_a_run_on_its_page() -> None:
    assert {(name, name) for name in NAMES} <= {(page, key) for page, key, _ in PARTS}


@pytest.mark.parametrize(("page", "key", "text"), PARTS, ids=IDS)
def test_a_run_has_its_figure_and_a_command_that_can_be_given(page: str, key: str, text: str) -> None:
    (figure,) = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert figure in (f"../images/experiment-{key}.svg", f"../images/experiment-{key}.png")
    assert (DOCS / "results" / figure).is_file()
    command = re.findall(r"```sh\n(.*?)\n```", text, flags=re.DOTALL)[0]
    program, *arguments = shlex.split(command.replace("\\\n", " "))
    assert (program, arguments[:2]) == ("focalogic", ["experiment", page.partition("-")[0]])
    assert CliRunner().invoke(app, [*arguments, "--dry-run"]).exit_code == 0


@pytest.mark.parametrize(("page", "key", "text"), [part for part in PARTS if part[1] not in OLDER])
def test_verdicts_of_a_run_are_corrected_for_their_number(page: str, key: str, text: str) -> None:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "| **" in line]
    assert lines
    for claim, _, verdict, *rest in lines:
        assert verdict in ("**confirmed**", "**not confirmed**", "**not testable here**"), claim
        chance = rest[1]
        if verdict == "**confirmed**" and chance not in ("-", "below 0.001"):
            assert float(chance) <= 0.05, claim
