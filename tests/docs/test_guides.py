"""Pages for those who carry on: what they name exists, and what they show runs."""

import re
from pathlib import Path

import pages
import pytest

ROOT = Path(__file__).parents[2]
PAGES = (
    "CONTRIBUTING.md",
    "docs/how-it-works.md",
    "docs/glossary.md",
    "docs/removal.md",
    "docs/zoom.md",
    "SECURITY.md",
)


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    base = ROOT / "captum_focalogic" if page.endswith("how-it-works.md") else ROOT
    named = set(re.findall(r"`([\w./]+\.(?:py|md|toml|cff))`", text)) | set(re.findall(r"\]\(([\w./-]+\.md)\)", text))
    # A module beside another one in the same sentence is named by its last part.
    places = [base, ROOT, ROOT / "docs", ROOT / "captum_focalogic/compare"]
    assert [name for name in sorted(named) if not any((place / name).exists() for place in places)] == []


@pytest.mark.parametrize("page", PAGES)
def test_formulas_that_a_page_promises_are_printed(page: str) -> None:
    ran = pages.run(page)
    for block in pages.blocks_of(page):
        for promised in re.findall(r"print\([^\n]*# (I\d[^\n]*)", block.code):
            assert promised in ran.printed[block.line]


def test_what_the_guide_adds_is_of_use() -> None:
    """Its segmenter, model and method, which it makes and does not ask."""
    import torch

    scope = pages.run("CONTRIBUTING.md").scope
    image = torch.rand(3, 8, 9)
    assert scope["Halves"].from_text("")(image).unique().tolist() == [1, 2]
    brightness = scope["load_classifier"]("")
    assert brightness.forward(image[None]).shape == (1, 3)
    assert brightness.label_of(2) == "blue"
    assert scope["METHOD"].name == "Area"


def test_versions_agree() -> None:
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "CITATION.cff")}
    numbers = {name: re.search(r"^version\W+([\d.]+)", text, flags=re.MULTILINE) for name, text in texts.items()}
    import captum_focalogic

    assert {found.group(1) for found in numbers.values() if found} == {captum_focalogic.__version__}
