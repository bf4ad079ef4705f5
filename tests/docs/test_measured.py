"""Tables of measurements that the tests' data hold are on their pages as they would be printed today."""

from pathlib import Path

import photo_tables
import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("table", "page"),
    list(zip(photo_tables.count_tables(), ["search.md", "scale.md", "search.md"], strict=True)),
    ids=["first sets", "evaluations", "beside others"],
)
def test_counts_of_searches_on_photos(table: str, page: str) -> None:
    assert len(table.splitlines()) > 2
    assert table in (DOCS / page).read_text(encoding="utf-8")


def test_what_readings_take_and_give_on_photos() -> None:
    assert photo_tables.readings_table() in (DOCS / "settings.md").read_text(encoding="utf-8")
