"""The live page in a real browser: from drop to export, and what can come between."""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
    # On a busy machine the search could otherwise end before the click comes to the server.
    gate.open.clear()
    with page.expect_response("**/stop"):
        page.click("[data-live-stop]")
    gate.open.set()
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


def test_a_server_that_has_gone_is_told(serve_models: Any, open_live: OpenLive) -> None:
    visitor = serve_models(picture())
    page = open_live(visitor, expect="ERR_CONNECTION_REFUSED")
    visitor.page.stop()
    drop(page, "photo.png", png(picture()))
    page.wait_for_selector("[data-live-error]:has-text('The server does not answer')")
    assert "Another image" in page.text_content("[data-drop]")
    assert page.is_enabled("text=Explain again")


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of a page that is not ours."""

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title><iframe></iframe>")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_a_page_elsewhere_can_neither_ask_nor_read(serve_models: Any, browser: Any, elsewhere: str) -> None:
    gate = Gate()
    visitor = serve_models(picture(), gate=gate).enter()
    visitor.events()
    context = browser.new_context()
    page = context.new_page()
    page.goto(elsewhere)
    asked = gate.calls
    attempt = """async ([address, mode, kind]) => {
      const body = '{"states": [[true, true, false, false]]}';
      const how = { method: "POST", mode, headers: { "Content-Type": kind }, body };
      return fetch(address, how).then(() => true, () => false);
    }"""
    # The first is asked for leave beforehand and the others are sent; nothing of the answers is shown.
    for mode, kind in (("cors", "application/json"), ("cors", "text/plain"), ("no-cors", "text/plain")):
        assert not page.evaluate(attempt, [f"{visitor.here}/ask", mode, kind])
    assert not page.evaluate("(address) => fetch(address).then(() => true, () => false)", visitor.here)
    page.evaluate("(address) => { document.querySelector('iframe').src = address; }", visitor.here)
    for _ in range(100):
        page.wait_for_timeout(100)
        if page.frames[1].url.startswith("chrome-error:"):
            break
    assert page.frames[1].url.startswith("chrome-error:")
    page.evaluate(
        """(address) => {
          const form = document.createElement("form");
          Object.assign(form, { method: "post", action: address, enctype: "text/plain" });
          document.body.append(form);
          form.submit();
        }""",
        f"{visitor.here}/stop",
    )
    page.wait_for_selector("text=questions come from this server")
    context.close()
    assert gate.calls == asked


def test_behind_a_proxy_with_another_name_where_that_was_asked_for(serve_models: Any, browser: Any) -> None:
    """The browser knows the page by a name and a port that the server does not."""
    for public in (True, False):
        visitor = serve_models(picture(), public=public)
        own = visitor.host

        class Proxy(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self, body: bytes | None = None, own: str = own) -> None:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                request = urllib.request.Request(f"http://{own}{self.path}", body, headers | {"Host": "inside:7860"})
                try:
                    answer = urllib.request.build_opener(Stay).open(request, timeout=30)
                except urllib.error.HTTPError as error:
                    answer = error
                with answer:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        if name.lower() not in ("transfer-encoding", "connection"):
                            self.send_header(name, value)
                    self.end_headers()
                    while part := answer.read1(65536):
                        self.wfile.write(part)
                        self.wfile.flush()

            def do_POST(self) -> None:
                self.do_GET(self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            context = browser.new_context()
            page = context.new_page()
            address = f"http://localhost:{server.server_address[1]}{visitor.page.url.split(own)[1]}"
            if public:
                page.goto(address)
                page.wait_for_selector("[data-live][data-state=done]")
                page.click('[data-do="all"]')
                region(page, 2).click()
                assert said(page).startswith("keeps the decision: both")
                drop(page, "again.png", png(picture()))
                page.wait_for_selector("h1:has-text('again.png')")
                page.wait_for_selector("[data-live][data-state=done]")
            else:
                assert page.goto(address).status == 403
            context.close()
            server.shutdown()


class Stay(urllib.request.HTTPRedirectHandler):
    """Redirects are the browser's to follow."""

    def redirect_request(self, *_: Any) -> None:
        return None


def test_warnings_are_read_on_the_page_and_an_unfinished_search_claims_nothing(
    serve_models: Any, open_live: OpenLive
) -> None:
    gate = Gate()
    visitor = serve_models(gate=gate)
    page = open_live(visitor, done=False)
    ask_much(page)
    page.wait_for_selector("[data-entry][data-pending]")
    assert "Being looked for" in page.text_content(".enough")
    # What changes by itself is spoken where it is news alone.
    page.wait_for_selector("[data-live-spoken]:has-text('Enough so far')", state="attached")
    assert page.get_attribute("[data-spoken]", "aria-live") == "off"
    page.click('[data-do="all"]')
    assert page.get_attribute("[data-spoken]", "aria-live") == "polite"
    assert "No formula yet" in page.text_content("[data-verdict]")
    assert page.locator("[data-formula], .tile, .statements").count() == 0
    page.click("[data-live-stop]")
    page.click("text=Show the answer")
    page.wait_for_selector("[data-live][data-state=stopped]")
    assert page.locator("[data-pending]").count() == 0
    page.click(".live-more summary")
    page.fill('[name="max_evaluations"]', "1")
    page.click("text=Explain again")
    page.wait_for_selector("[data-live][data-state=done] .live-warnings")
    assert "the search ended before any final state was found" in page.text_content(".live-warnings")


def test_who_comes_back_too_late_reads_a_sentence_and_finds_the_first_page(serve_models: Any, browser: Any) -> None:
    visitor = serve_models(picture()).enter()
    context = browser.new_context()
    page = context.new_page()
    assert page.goto(f"{visitor.reader()}/c/gone").status == 404
    assert "is not open any more" in page.text_content("main")
    page.click("main a")
    page.wait_for_selector("[data-live][data-state=done]")
    context.close()
