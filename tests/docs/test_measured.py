"""Tables of measurements that the tests' data hold are on their pages as they would be printed today."""

from pathlib import Path

import photo_tables
import pytest
import zoom_tables

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("table", "page"),
    list(zip(photo_tables.count_tables(), ["search.md", "scale.md", "search.md"], strict=True)),
    ids=["first sets", "evaluations", "beside others"],
)
def test_counts_of_searches_on_photos(table: str, page: str) -> None:
    assert len(table.splitlines()) > 2
    assert table in (DOCS / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("file", ["photo_zooms.csv", "scene_zooms.csv"])
def test_areas_of_zooms(file: str) -> None:
    table = zoom_tables.table(zoom_tables.DATA / file)
    assert len(table.splitlines()) == 9
    assert table in (DOCS / "zoom.md").read_text(encoding="utf-8")


def test_what_is_said_of_zooms_beside_others() -> None:
    found = zoom_tables.measured(zoom_tables.DATA / "photo_zooms.csv")
    page = (DOCS / "zoom.md").read_text(encoding="utf-8")
    others = [name for name in found if not name.startswith("FocaLogic")]
    shares = {name: zoom_tables.share_least(found, name)[0] for name in others}
    assert f"({', '.join(f'{name} {100 * share:.1f} %' for name, share in shares.items())})" in page
    assert all(name in page.split("missed against")[1].split("**")[0] for name in others if shares[name] < 0.75)
    assert max(row["evaluations"] for row in found[zoom_tables.OURS].values()) <= 300
