"""The page for people of other packages says the same as they do, in few lines."""

import re
from pathlib import Path

import pages

PAGE = Path(__file__).parents[2] / "docs" / "coming-from.md"


def test_what_the_page_makes() -> None:
    ran = pages.run("docs/coming-from.md")
    assert ran.scope["answer"].focus.region_sets() == [frozenset({1, 3}), frozenset({1, 4})]
    assert set(ran.scope["weights"]) == set(range(len(ran.scope["weights"])))
    assert any("red disc" in printed for printed in ran.printed.values())


def test_no_block_is_longer_than_six_lines() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert all(len([line for line in block.splitlines() if line.strip()]) <= 7 for block in blocks)


def test_pages_that_it_names_exist() -> None:
    for name in re.findall(r"\]\(([\w-]+\.md)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / name).exists()
