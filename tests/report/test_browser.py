"""The report in a real browser: what people do with it, and what it must not do."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import chromium, needs_chromium
from makers import IDS, IMAGE, LABELS, answered, examined, focus_by, moody_rule, rule
from PIL import Image

from captum_focalogic.focus import Focus
from captum_focalogic.report import data
from captum_focalogic.report.page import Entry, Panel, write_report
from captum_focalogic.search import Ascending

pytestmark = needs_chromium

HOSTILE = '</script><script>window.broken=1</script><img src=x onerror="window.broken=1">'
OpenReport = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def open_report(browser: Any, tmp_path: Path) -> Iterator[OpenReport]:
    """Write a report, open it, keep all unless told; afterwards nothing was logged, requested or refused."""
    troubles: list[str] = []
    requests: list[str] = []
    contexts: list[Any] = []

    def opened(*entries: Entry, whole: bool = True, **how: Any) -> Any:
        path = write_report(tmp_path / "report.html", entries)
        how.setdefault("viewport", {"width": 1280, "height": 900})
        context = browser.new_context(**how)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        if whole and how.get("java_script_enabled", True):
            page.locator("[data-do=all]").evaluate_all("all => all.forEach(button => button.click())")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []
    assert all(url.startswith(("file:", "data:")) for url in requests)
    assert sum(url.startswith("file:") for url in requests) == len(contexts)


def kept(page: Any) -> set[int]:
    """Region ids that are left, as the image says."""
    boxes = page.locator('.region[aria-checked="true"]')
    return {int(IDS[int(column)]) for column in boxes.evaluate_all("all => all.map(box => box.dataset.region)")}


def says(page: Any, part: str) -> str:
    return str(page.locator(f"[data-{part}]").first.inner_text())


def click_region(page: Any, region: int) -> None:
    """Click into the middle of a region, found by its place in the label map."""
    box = page.locator("[data-image]").bounding_box()
    rows, columns = np.nonzero(region == LABELS)
    x, y = columns.mean() + 0.5, rows.mean() + 0.5
    page.mouse.click(box["x"] + x / LABELS.shape[1] * box["width"], box["y"] + y / LABELS.shape[0] * box["height"])


def hover_region(page: Any, region: int) -> None:
    box = page.locator("[data-image]").bounding_box()
    rows, columns = np.nonzero(region == LABELS)
    x, y = columns.mean() + 2.5, rows.mean() + 2.5
    page.mouse.move(box["x"] + x / LABELS.shape[1] * box["width"], box["y"] + y / LABELS.shape[0] * box["height"])


def lit(page: Any, within: str) -> set[str]:
    return set(page.locator(f"{within} .lit").evaluate_all("all => all.map(e => e.dataset.region)"))


def test_hovering_a_symbol_lights_its_region(open_report: OpenReport) -> None:
    page = open_report(Entry(focus_by(rule), IMAGE))
    page.locator("[data-formula] .symbol").first.hover()
    assert lit(page, "[data-regions]") == {"1"}
    assert page.locator("[data-halo]").get_attribute("href") == "#e0-p1"
    assert page.locator("[data-halo]").is_visible()
    page.mouse.move(5, 5)
    assert lit(page, "body") == set()


def test_hovering_a_region_lights_all_its_occurrences(open_report: OpenReport) -> None:
    # Majority: every region stands in more than one place of the formula or of the sets below.
    page = open_report(Entry(focus_by(lambda k: sum(k.values()) >= 3), IMAGE))
    hover_region(page, 7)
    marked = lit(page, "[data-formula]")
    assert marked == {"3"}
    in_formula = page.locator('[data-formula] [data-region="3"]').count()
    assert page.locator("[data-formula] .lit").count() == in_formula > 1
    assert page.locator("[data-list] tr.lit").count() == 1


def test_clicking_regions_turns_the_formula_false(open_report: OpenReport) -> None:
    page = open_report(Entry(focus_by(rule), IMAGE))
    assert says(page, "holds") == "The formula holds"
    assert says(page, "met") == "number 1 (I0, I7) and 1 more"
    click_region(page, 7)
    assert kept(page) == set(IDS.tolist()) - {7}
    assert says(page, "holds") == "The formula holds"
    assert says(page, "met") == "number 2 (I_m3, I0, I2)"
    click_region(page, 2)
    assert says(page, "holds") == "The formula fails"
    assert says(page, "met") == "none"
    assert says(page, "violated") == "I2, I7"
    assert says(page, "model") == "loses the decision, score 0.29"
    assert page.locator(".verdict").get_attribute("class") == "verdict fails"
    click_region(page, 7)
    assert says(page, "holds") == "The formula holds"


def test_every_selection_is_answered_as_the_model_answered(open_report: OpenReport) -> None:
    focus = focus_by(moody_rule)
    page = open_report(Entry(focus, IMAGE))
    asked = {
        row.tobytes(): bool(valid) for row, valid in zip(focus.evaluated.states, focus.evaluated.valid, strict=True)
    }
    assert 0 < len(asked) < 64, "some states are asked, some are not"
    symbols = page.locator("[data-list] .symbol")
    for bits in itertools.product([True, False], repeat=len(IDS)):
        for j, wanted in enumerate(bits):
            if (symbols.nth(j).get_attribute("aria-pressed") == "true") != wanted:
                symbols.nth(j).evaluate("button => button.click()")
        state = np.array(bits)
        met = [k + 1 for k, final in enumerate(focus.final_states) if (final <= state).all()]
        assert says(page, "holds") == ("The formula holds" if met else "The formula fails")
        assert says(page, "met").startswith(f"number {met[0]} (" if met else "none")
        assert (says(page, "violated") == "none") == bool(met)
        answer = asked.get(state.tobytes())
        expected = {True: "keeps the decision", False: "loses the decision", None: "not asked"}[answer]
        assert says(page, "model").startswith(expected)
        assert page.locator("[data-remark]").is_visible() == (answer is not None and answer != bool(met))
        formula_false = page.locator("[data-formula] > .node.false").count() == 1
        assert formula_false == (not met)


def test_final_states_can_be_chosen(open_report: OpenReport) -> None:
    page = open_report(Entry(focus_by(rule), IMAGE))
    page.locator("[data-state]").nth(1).click()
    assert kept(page) == {-3, 0, 2}
    assert says(page, "met") == "number 2 (I_m3, I0, I2)"
    assert page.locator("[aria-current=true]").count() == 1


@pytest.mark.parametrize(
    ("action", "left"), [("all", set(IDS.tolist())), ("none", set()), ("shared", {0}), ("invert", {2, 7, 11, 12})]
)
def test_buttons(open_report: OpenReport, action: str, left: set[int]) -> None:
    page = open_report(Entry(focus_by(rule), IMAGE))
    click_region(page, -3)
    click_region(page, 0)
    page.locator(f"[data-do={action}]").click()
    if action == "invert":
        assert kept(page) == {-3, 0}
        page.locator(f"[data-do={action}]").click()
    assert kept(page) == left


def test_numbers_can_be_hidden(open_report: OpenReport) -> None:
    page = open_report(Entry(focus_by(rule), IMAGE))
    assert page.locator("[data-numbers]").is_visible()
    page.locator("[data-do=numbers]").click()
    assert not page.locator("[data-numbers]").is_visible()
    assert page.locator("[data-do=numbers]").get_attribute("aria-pressed") == "false"


def test_everything_by_keyboard(open_report: OpenReport) -> None:
    page = open_report(Entry(focus_by(rule), IMAGE))

    def focused() -> str:
        return str(page.evaluate("document.activeElement.dataset.region ?? ''"))

    page.keyboard.press("Tab")
    assert focused() == "0"
    assert lit(page, "[data-regions]") == {"0"}
    page.keyboard.press("ArrowRight")
    assert focused() == "1"
    page.keyboard.press("ArrowDown")
    assert focused() == "4"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert focused() == "0", "there is nothing further left"
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    assert kept(page) == set(IDS.tolist()) - {0}
    assert says(page, "holds") == "The formula fails"
    page.keyboard.press("Enter")
    assert says(page, "holds") == "The formula holds"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('[data-formula]') !== null")
    page.keyboard.press("ArrowRight")
    assert focused() == "3"
    page.keyboard.press(" ")
    assert kept(page) == set(IDS.tolist()) - {7}
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.classList.contains('region')"), "one tab stop a group"


def test_the_graph_is_linked_too(open_report: OpenReport) -> None:
    if shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed")
    page = open_report(Entry(focus_by(rule), IMAGE))
    node = page.locator('.graph [data-region="3"]')
    node.hover()
    assert lit(page, "[data-regions]") == {"3"}
    node.click()
    assert kept(page) == set(IDS.tolist()) - {7}


def test_hostile_names_stay_text(open_report: OpenReport) -> None:
    focus = focus_by(rule, names={0: HOSTILE, 7: "<b>sky</b>"})
    page = open_report(Entry(focus, IMAGE, title=HOSTILE, label=HOSTILE, panels=[Panel(HOSTILE, caption=HOSTILE)]))
    click_region(page, 2)
    assert page.evaluate("window.broken") is None
    assert HOSTILE in page.locator("h1").inner_text()
    assert HOSTILE in page.locator("[data-formula]").inner_text()
    assert HOSTILE in says(page, "met")
    assert page.locator("b, img").count() == 0


def test_the_policy_stops_foreign_code(browser: Any, tmp_path: Path) -> None:
    """What an attacker could write into the file runs no more than what stands in a name."""
    path = write_report(tmp_path / "report.html", [Entry(focus_by(rule), IMAGE)])
    text = path.read_text(encoding="utf-8")
    foreign = "<script>window.broken=1</script><img src='data:,' onerror='window.broken=1'>"
    path.write_text(text.replace("<main>", f"<main>{foreign}"), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.evaluate("window.broken") is None
    page.close()


def test_capped_answers_are_not_called_unasked(open_report: OpenReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "ANSWER_BYTES", 6 * 8)
    page = open_report(Entry(focus_by(rule), IMAGE))
    page.locator("[data-do=shared]").click()
    for region in (11, 12, 2):
        click_region(page, region)
    assert says(page, "model") == "not asked, or its answer is not in this file"


def test_a_cut_list_of_states_gives_no_false_no(open_report: OpenReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "STATE_BYTES", 1)
    page = open_report(Entry(focus_by(rule), IMAGE))
    click_region(page, 7)
    assert says(page, "holds") == "Not known here"


def test_the_strongest_set_is_chosen_at_first(open_report: OpenReport) -> None:
    focus = focus_by(lambda k: (k[-3] and k[0]) or (k[2] and k[12]))
    likely = np.where((focus.evaluated.states == focus.final_states[1]).all(1), 0.9, 0.5).astype(np.float32)
    focus = replace(focus, evaluated=replace(focus.evaluated, probability=likely))
    assert focus.strongest.tolist() == [1, 0]
    page = open_report(Entry(focus, IMAGE), whole=False)
    assert kept(page) == {2, 12}
    assert says(page, "holds") == "The formula holds"
    assert says(page, "model") == "keeps the decision, probability 0.90"
    assert says(page, "now") == "With I2, I12: the model keeps the decision, probability 0.90."
    assert page.locator("[aria-current=true]").get_attribute("data-state") == "1"
    assert "probability 0.90" in page.locator(".tile small").nth(1).inner_text()


def test_without_a_final_state_the_whole_image_is_shown_and_no_formula(open_report: OpenReport) -> None:
    page = open_report(Entry(focus_by(lambda kept: False), IMAGE), whole=False)
    assert kept(page) == set(IDS.tolist())
    assert says(page, "holds") == "There is no formula"
    assert page.locator("[data-formula]").count() == 0
    click_region(page, 7)
    assert says(page, "model") == "not asked"
    assert says(page, "now") == "With I_m3, I0, I2, I11, I12: the model was not asked."


def test_answers_beside_the_search_name_their_classes(open_report: OpenReport) -> None:
    single = np.eye(len(IDS), dtype=bool)
    focus = answered(examined(focus_by(rule)), np.concatenate([~single, single]), [True] * 6 + [False] * 6)
    page = open_report(Entry(focus, IMAGE))
    click_region(page, 11)
    assert says(page, "model") == "keeps the decision: kite 0.75; <b>drake</b> 0.20; class 8 0.05"
    page.locator("[data-do=invert]").click()
    assert says(page, "model") == "loses the decision: <b>drake</b> 0.75; kite 0.20; class 8 0.05"
    assert "<b>drake</b>" in says(page, "now")
    page.locator("[data-do=all]").click()
    page.locator(".look").first.click()
    assert kept(page) == set(IDS.tolist()) - {0}
    assert says(page, "model").startswith("keeps the decision: kite")


@pytest.mark.parametrize(
    ("criterion", "lack"),
    [
        ("top1+0.5", ", as too little is left of its probability"),
        ("over:5", ", as too little is left of its lead"),
        ("margin:1.5", ", as it is not far enough ahead"),
        (None, ""),
    ],
)
def test_too_little_of_the_class_is_told(open_report: OpenReport, criterion: str | None, lack: str) -> None:
    focus = answered(focus_by(rule), ~np.eye(len(IDS), dtype=bool)[[1]], [False])
    assert focus.further is not None
    focus = replace(focus, further=replace(focus.further, top=np.array([[4, 5, 8]])))
    focus = replace(focus, provenance=replace(focus.provenance, criterion=criterion))
    page = open_report(Entry(focus, IMAGE))
    click_region(page, 0)
    assert says(page, "model").startswith(f"loses the decision{lack}: kite 0.75")


def test_red_is_for_what_is_needed(open_report: OpenReport) -> None:
    def strokes(page: Any) -> set[str]:
        return set(page.locator(".region").evaluate_all("all => all.map(e => getComputedStyle(e).stroke)"))

    red = "rgb(225, 30, 30)"
    for focus, wanted in (
        (focus_by(rule), False),
        (examined(focus_by(rule), needed=False), False),
        (examined(focus_by(rule)), True),
    ):
        page = open_report(Entry(focus, IMAGE))
        assert (red in strokes(page)) == wanted
        assert (page.locator(".need").count() == 1) == wanted


def test_no_region_of_a_larger_needed_set_is_red(open_report: OpenReport) -> None:
    focus = examined(focus_by(rule))
    assert focus.critical is not None
    focus = replace(focus, critical=replace(focus.critical, needed=np.array([False, True])))
    page = open_report(Entry(focus, IMAGE))
    assert page.locator(".region.needed").count() == 0
    assert page.locator(".need").count() == 1


def focus_of_many() -> Focus:
    """Of 130 regions, asked about pairs alone."""
    ids, sets = np.arange(130), [[0, 127], [0, 128, 129], [64, 65]]
    labels = np.kron(ids.reshape(10, 13), np.ones((4, 4), int))
    found = focus_by(
        lambda kept: any(all(kept[region] for region in each) for each in sets),
        ids,
        strategy=Ascending(max_size=2),
        scored=False,
        target=None,
        label_map=labels,
    )
    return replace(found, final_states=np.array([np.isin(ids, each) for each in sets]))


def test_more_regions_than_a_machine_word(open_report: OpenReport) -> None:
    page = open_report(Entry(focus_of_many()))
    page.locator("[data-do=none]").click()
    assert says(page, "model").startswith("loses the decision")
    for column in (64, 65):
        page.locator(f'[data-list] .symbol[data-region="{column}"]').click()
    assert says(page, "met") == "number 3 (I64, I65)"
    assert says(page, "model").startswith("keeps the decision")
    page.locator('[data-list] .symbol[data-region="3"]').click()
    assert says(page, "holds") == "The formula holds"
    assert says(page, "model") == "not asked"


def test_several_decisions_do_not_disturb_one_another(open_report: OpenReport) -> None:
    page = open_report(Entry(focus_by(rule), IMAGE), Entry(focus_by(lambda k: k[12]), IMAGE))
    first, second = page.locator("[data-entry]").all()
    second.locator("[data-do=none]").click()
    assert second.locator("[data-holds]").inner_text() == "The formula fails"
    assert first.locator("[data-holds]").inner_text() == "The formula holds"


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_width_needs_sideways_scrolling(open_report: OpenReport, width: int) -> None:
    focus = focus_by(
        rule, names={0: "an uncommonly long name of a region", 7: "Donaudampfschifffahrtsgesellschaftskapitän"}
    )
    page = open_report(Entry(focus, IMAGE, title="x" * 80, command="y" * 300), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(open_report: OpenReport, scheme: str) -> None:
    page = open_report(Entry(focus_by(rule), IMAGE, truth=LABELS == 0), color_scheme=scheme)
    for selector in (
        ".summary",
        ".note",
        ".formula .symbol",
        ".answer strong",
        ".statements li",
        ".verdict dt",
        ".count",
    ):
        colour, ground = page.locator(selector).first.evaluate(
            """element => {
                const ground = (e) => {
                    const own = getComputedStyle(e).backgroundColor;
                    return own.endsWith(', 0)') && e.parentElement ? ground(e.parentElement) : own;
                };
                return [getComputedStyle(element).color, ground(element)];
            }"""
        )
        assert contrast(colour, ground) >= 4.5, (selector, colour, ground)
    dark = sum(channels(page.evaluate("getComputedStyle(document.body).backgroundColor"))) < 200
    assert dark == (scheme == "dark")


def channels(colour: str) -> list[float]:
    return [float(number) for number in colour[colour.index("(") + 1 : -1].split(",")[:3]]


def contrast(one: str, other: str) -> float:
    """Contrast ratio as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        linear = [
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in channels(colour))
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_lines_are_as_wide_on_small_images_as_on_large_ones(open_report: OpenReport) -> None:
    """Red pixels along a row that crosses the border of the one shared region, in an image of 32 x 48 pixels."""
    page = open_report(Entry(examined(focus_by(lambda kept: kept[0])), IMAGE * 0))
    page.locator("[data-do=numbers]").click()
    page.mouse.move(5, 5)
    with Image.open(BytesIO(page.locator("[data-image]").screenshot())) as shot:
        pixels = np.asarray(shot.convert("RGB")).astype(int)
    row = pixels[pixels.shape[0] // 8]
    strong = (row[:, 0] > 200) & (row[:, 1] < 60)
    assert 3 <= strong.sum() <= 8, "two borders of 3 pixels each, whatever the scale"


def test_it_prints_what_matters(open_report: OpenReport) -> None:
    page = open_report(Entry(focus_by(rule), IMAGE, truth=LABELS == 0), color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator(".actions").is_visible()
    assert page.locator("[data-image]").is_visible()
    assert page.locator(".statements").is_visible()
    assert sum(channels(page.evaluate("getComputedStyle(document.body).backgroundColor"))) == 3 * 255
    assert len(page.pdf(format="A4")) > 10_000


def test_without_scripts_everything_can_still_be_read(open_report: OpenReport) -> None:
    page = open_report(Entry(focus_by(rule), IMAGE), java_script_enabled=False)
    assert page.locator("[data-image]").is_visible()
    assert page.locator(".formula").is_visible()
    assert not page.locator("[data-verdict]").is_visible()
    assert "Scripts are off" in page.locator("body").inner_text()


def test_screenshots(open_report: OpenReport) -> None:
    """Not a check of taste: a page that paints nothing would have one colour."""
    page = open_report(Entry(focus_by(rule), IMAGE))
    folder = os.environ.get("FOCALOGIC_SCREENSHOTS")
    shot = page.screenshot(full_page=True, **({"path": str(Path(folder) / "report.png")} if folder else {}))
    assert len(Image.open(BytesIO(shot)).convert("RGB").getcolors(maxcolors=1 << 24)) > 500
