"""Recipes are what people come with, in at most six lines each, and say something."""

import re

import pages
import pytest

BLOCKS = [block for block in pages.blocks_of("docs/recipes.md") if block.language == "python"]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_no_recipe_is_longer_than_six_lines(block):
    assert len([line for line in block.code.splitlines() if line.strip()]) <= 6


def test_every_recipe_says_something():
    ran = pages.run("docs/recipes.md")
    silent = [block for block in BLOCKS if not ran.printed[block.line].strip()]
    assert ["focuses" in block.code for block in silent] == [True]


def test_the_page_has_what_people_come_with():
    page = (pages.ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    for wish in (
        "torchvision",
        "Hugging Face",
        "timm",
        "CLIP",
        "Many images",
        "Segment Anything",
        "Truth for each class",
    ):
        assert re.search(f"^## .*{wish}", page, flags=re.MULTILINE), wish
    for wish in ("table for a paper", "Two models on one image", "Why this and not that", "whole data set"):
        assert re.search(f"^## .*{wish}", page, flags=re.MULTILINE), wish
