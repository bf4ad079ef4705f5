"""The live page in a real browser: from drop to export, and what can come between."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import chromium, needs_chromium
from visitors import Gate, Visitor, breaks, lower, picture, png, quarters

from captum_focalogic.focus import Focus

pytestmark = needs_chromium

OpenLive = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def open_live(browser: Any) -> Iterator[OpenLive]:
    """Look at a page; afterwards nothing was logged but what a test expects, and nobody else was asked."""
    troubles: list[str] = []
    expected: list[str] = []
    contexts: list[Any] = []

    def opened(visitor: Visitor, *, expect: str = "", done: bool = True, **how: Any) -> Any:
        how.setdefault("viewport", {"width": 1280, "height": 900})
        context = browser.new_context(**how)
        contexts.append(context)
        page = context.new_page()
        if expect:
            expected.append(expect)
        page.on("console", lambda message: troubles.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("request", lambda request: _only(visitor, request, troubles))
        page.goto(visitor.page.url)
        if done:
            page.wait_for_selector("[data-live][data-state=done]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [one for one in troubles if not any(word in one for word in expected)] == []


def _only(visitor: Visitor, request: Any, troubles: list[str]) -> None:
    if not request.url.startswith((f"http://{visitor.host}/", "data:", "blob:")):
        troubles.append(f"asked {request.url}")


def region(page: Any, number: int) -> Any:
    return page.locator(f'[data-entry] .region[data-region="{number - 1}"]')


def said(page: Any) -> str:
    # Not by wait_for_function: the page's policy lets nobody evaluate text.
    page.wait_for_selector("[data-model]:not(:has-text('being asked'))")
    return str(page.text_content("[data-model]"))


def drop(page: Any, name: str, content: bytes) -> None:
    """Drop a file on the page, as from a folder."""
    page.evaluate(
        """([name, bytes]) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        [name, list(content)],
    )


def ask_much(page: Any) -> None:
    """Open an image with a search that takes long."""
    page.click(".live-more summary")
    page.select_option('[name="reading"]', "irreducible")
    page.select_option('[name="segmenter"]', "grid:4x4")
    page.fill('[name="max_evaluations"]', "50000")
    drop(page, "photo.png", png(picture()))


def test_from_drop_to_export(serve_models: Any, open_live: OpenLive, tmp_path: Path) -> None:
    page = open_live(serve_models(), done=False)
    assert "Drop an image here" in page.text_content("[data-drop]")
    drop(page, "my photo.png", png(picture()))
    page.wait_for_selector("[data-live][data-state=done]")
    assert page.text_content("h1") == "my photo.png"
    assert "1 and 4 keep it alone" in page.text_content(".enough")
    page.click(".live-saves summary")
    assert "explain_image(model, 'my photo.png', segmenter='grid:2x2'" in page.text_content(".live-saves")
    with page.expect_download() as download:
        page.click("text=focus.json")
    download.value.save_as(tmp_path / "focus.json")
    assert Focus.load(tmp_path / "focus.json").region_sets() == [frozenset({1, 4})]


def test_a_click_is_answered_by_the_model(serve_models: Any, open_live: OpenLive) -> None:
    page = open_live(serve_models(picture()))
    page.click('[data-do="all"]')
    assert said(page).startswith("keeps the decision: both ")
    region(page, 4).click()
    region(page, 2).click()
    # 1 and 3 alone: a state that no search for the smallest asks.
    assert said(page).startswith("loses the decision: light ")
    assert "With I1, I3: the model loses the decision: light" in page.text_content("[data-now]")


def test_the_keyboard_alone(serve_models: Any, open_live: OpenLive) -> None:
    page = open_live(serve_models(picture()))
    page.locator('[data-entry] .region[tabindex="0"]').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    assert page.locator(".region:focus").get_attribute("aria-checked") == "true"
    assert "I1, I2, I4" in page.text_content("[data-now]")
    assert said(page).startswith("keeps the decision")


def test_a_search_is_watched_and_stopped(serve_models: Any, open_live: OpenLive) -> None:
    gate = Gate()
    visitor = serve_models(gate=gate)
    page = open_live(visitor, done=False)
    ask_much(page)
    page.wait_for_selector("[data-live-status]:has-text('Enough so far')")
    page.click("[data-live-stop]")
    page.wait_for_selector("[data-live][data-state=stopped]")
    assert "found until then" in page.text_content("[data-live-status]")
    assert gate.rows < 50_000


def test_who_clicks_is_not_interrupted_by_the_end_of_the_search(serve_models: Any, open_live: OpenLive) -> None:
    gate = Gate()
    page = open_live(serve_models(picture(), gate=gate), done=False)
    page.wait_for_selector("[data-entry]")
    if page.get_attribute("[data-live]", "data-state") == "searching":
        region(page, 2).click()
    page.wait_for_selector("[data-live][data-state=done], .live-status button:has-text('Show the answer')")
    shown = page.locator("text=Show the answer")
    if shown.count():
        assert page.text_content("[data-now]").startswith("With I1, I3, I4")
        shown.click()
    page.wait_for_selector("[data-live][data-state=done]")


def test_two_models_side_by_side(serve_models: Any, open_live: OpenLive) -> None:
    page = open_live(serve_models(picture(), quarters=quarters, lower=lower))
    page.select_option("[data-beside]", "lower")
    page.wait_for_selector(".live-difference")
    assert "They differ, for instance where" in page.text_content(".live-difference")
    assert page.locator("[data-entry]").count() == 2
    second = page.locator("[data-entry]").nth(1)
    # Something that no search for the smallest asks.
    second.locator('[data-do="all"]').click()
    second.locator('.region[data-region="0"]').click()
    second.locator("[data-model]:not(:has-text('being asked'))").wait_for()
    assert "keeps the decision: both" in second.locator("[data-model]").text_content()
    second.locator('[data-do="none"]').click()
    second.locator("[data-model]:not(:has-text('being asked'))").wait_for()
    assert "loses the decision: dark" in second.locator("[data-model]").text_content()


def test_a_broken_image_and_a_model_that_raises_are_sentences(serve_models: Any, open_live: OpenLive) -> None:
    page = open_live(serve_models(breaks=breaks), done=False, expect="400 (Bad Request)")
    drop(page, "broken.png", png(picture())[:70])
    page.wait_for_selector("[data-live-error]:not([hidden])")
    assert "image" in page.text_content("[data-live-error]")
    drop(page, "good.png", png(picture()))
    page.wait_for_selector("[data-live][data-state=failed]")
    assert "the model raised ValueError: <b>no upper half</b>" in page.text_content("[data-live-status]")
    assert page.locator("b").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_on_a_phone_and_in_the_dark(serve_models: Any, open_live: OpenLive, scheme: str, width: int) -> None:
    viewport = {"width": width, "height": 800}
    page = open_live(serve_models(picture(), quarters=quarters, lower=lower), viewport=viewport, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click(".live-saves summary")
    page.click(".live-more summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    dark = page.evaluate("getComputedStyle(document.querySelector('.live')).backgroundColor")
    assert (sum(map(int, dark[4:-1].split(","))) < 200) == (scheme == "dark")


def test_two_people_at_once(serve_models: Any, open_live: OpenLive) -> None:
    visitor = serve_models(picture())
    one, two = open_live(visitor), open_live(visitor)
    assert one.url != two.url
    region(one, 1).click()
    assert "With I4" in one.text_content("[data-now]")
    assert "With I1, I4" in two.text_content("[data-now]")


def test_answers_come_while_the_search_goes_on(serve_models: Any, open_live: OpenLive) -> None:
    gate = Gate()
    visitor = serve_models(gate=gate)
    page = open_live(visitor, done=False)
    ask_much(page)
    page.wait_for_selector("[data-entry]")
    page.click('[data-do="none"]')
    assert said(page).startswith("loses the decision: dark")
    assert page.get_attribute("[data-live]", "data-state") == "searching"
    threading.Timer(0.1, gate.open.set).start()
    page.click("[data-live-stop]")
