"""The page of a study: what was found in words first, figures before tables, nothing beyond the edge of a phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from chromium import chromium, needs_chromium
from studies import summary_row, summary_rows

from captum_focalogic.study import summarise
from captum_focalogic.study.conclusions import conclusions
from captum_focalogic.study.page import write_page
from captum_focalogic.study.rows import as_table


def test_it_begins_with_what_was_found_and_holds_figures_before_tables(tmp_path: Path) -> None:
    rows = summary_rows()
    summary = summarise(rows)
    text = write_page(tmp_path / "study.html", rows, summary, {"model": "<b>mine</b>"}).read_text("utf-8")
    places = [text.index(part) for part in (conclusions(summary)[0], "<svg", 'id="behaviour"', "<table")]
    assert places == sorted(places)
    assert text.count("<figure") == 3
    assert "OSError: torn" in text
    assert "&lt;b&gt;mine&lt;/b&gt;" in text
    assert "<b>mine" not in text


def test_many_classes_stand_apart(tmp_path: Path) -> None:
    rows = as_table([summary_row(index, 0.5, label=index) for index in range(40)])
    text = write_page(tmp_path / "study.html", rows, summarise(rows), {}).read_text("utf-8")
    assert "irreducible states, 40 classes" in text
    assert text.index("class: class 39") > text.index("<details>")


@pytest.fixture(scope="module")
def pages() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_beyond_the_edge(pages: Any, tmp_path: Path, width: int, scheme: str) -> None:
    long = "a class of which the name is as long as that of some bird"
    rows = as_table([summary_row(index, index / 40, label=0) for index in range(40)])
    settings = {"model": "timm:" + "x" * 90, "data": "0" * 40}
    write_page(tmp_path / "study.html", rows, summarise(rows, class_names=[long]), settings)
    page = pages.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto((tmp_path / "study.html").as_uri())
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    beyond = page.evaluate(
        """() => [...document.querySelectorAll("main *, header *")].filter(one => {
            const box = one.getBoundingClientRect();
            return box.width && (box.right > innerWidth + 1 || box.left < -1);
        }).map(one => one.outerHTML.slice(0, 80))"""
    )
    assert beyond == []
    last = page.locator("td[data-column='of the means']").first
    assert last.is_visible()
    assert not said, "the page's own policy lets its style through"
    page.close()
