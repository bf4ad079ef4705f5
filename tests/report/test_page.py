"""The report as text: what it holds, what it may do, and that nothing in it is taken for markup."""

import base64
import hashlib
import json
import struct
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import IDS, IMAGE, LABELS, answered, examined, focus_by, moody_rule, rule
from PIL import Image

from captum_focalogic.errors import InputError
from captum_focalogic.logic import drawing
from captum_focalogic.metrics import Thresholds
from captum_focalogic.provenance import Provenance
from captum_focalogic.report import data, formula
from captum_focalogic.report.page import Entry, Panel, render_report, write_report
from captum_focalogic.search import states as st
from captum_focalogic.search.record import Evaluated
from captum_focalogic.tables import Table
from captum_focalogic.trust import Repeats

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}"


class Page(HTMLParser):
    """Tags with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.text = ""
        self.payloads: list[dict] = []
        self._at: tuple[str, dict[str, str | None]] = ("", {})
        self.feed(str(text))

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self._at = (tag, dict(attrs))
        self.text += " "
        self.tags.append(self._at)

    def handle_endtag(self, tag: str) -> None:
        self._at = ("", {})

    def handle_data(self, data: str) -> None:
        tag, attributes = self._at
        if tag == "script" and attributes.get("type") == "application/json":
            self.payloads.append(json.loads(data))
        elif tag in self.raw:
            self.raw[tag].append(data)
        else:
            self.text += data


def flat(text: str) -> str:
    return " ".join(text.split())


def rows(text: str, columns: int = len(IDS)) -> np.ndarray:
    packed = np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, -(-columns // 8))
    return np.unpackbits(packed, axis=1, count=columns, bitorder="little").astype(bool)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(
        render_report([Entry(focus_by(rule), IMAGE, label="kite", truth=LABELS == 0, command="run it", seed=5)])
    )


def test_only_its_own_script_and_style_may_run(page: Page) -> None:
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for name in ("script", "style"):
        (text,) = page.raw[name]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{name}-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in policy


def test_nothing_points_outside(page: Page) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action", "data", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/")), (tag, name)
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
    everything = " ".join(page.raw["script"] + page.raw["style"])
    assert "http" not in everything
    assert "@import" not in everything
    assert "innerHTML" not in everything


def test_states_answers_and_necessary_sets_are_in_the_page() -> None:
    focus = focus_by(moody_rule)
    (payload,) = Page(render_report([Entry(focus, IMAGE)])).payloads
    assert payload["regions"] == IDS.tolist()
    assert np.array_equal(rows(payload["states"]), focus.final_states)
    # Hand-worked: each set hits {0, 7} and {0, -3, 2}.
    wanted = {frozenset(s) for s in ([0], [7, -3], [7, 2])}
    assert {frozenset(IDS[row].tolist()) for row in rows(payload["necessary"])} == wanted
    answers = payload["answers"]
    asked = rows(answers["states"])
    valid = np.unpackbits(
        np.frombuffer(base64.b64decode(answers["valid"]), np.uint8), count=len(asked), bitorder="little"
    )
    scores = struct.unpack(f"<{len(asked)}f", base64.b64decode(answers["scores"]))
    assert answers["count"] == answers["total"] == len(asked) == len(focus.evaluated)
    for state, verdict, score in zip(asked, valid, scores, strict=True):
        assert bool(verdict) == moody_rule(dict(zip(IDS.tolist(), state.tolist(), strict=True)))
        assert score == pytest.approx(0.25 + 0.5 * verdict + 0.01 * state.sum())


def test_what_is_given_is_shown(page: Page) -> None:
    shown = flat(page.text)
    for part in ("kite", "run it", "I0 & (I7 | (I_m3 & I2))", "captum-focalogic", "Why", "distracted"):
        assert part in shown or any(part in str(a) for _, a in page.tags), part
    assert "Seed 5" in flat(shown)


def test_measures_are_those_worked_by_hand(page: Page) -> None:
    # Final states {0, 7} and {-3, 0, 2} of six equal regions; the object is region 0.
    shown = flat(page.text)
    assert "Precision 0.417 0.5" in shown  # (1/2 + 1/3) / 2
    assert "Recall 1.000 0.5" in shown
    assert "Divergence 0.125 0.1" in shown  # three regions in one of two states: 3 * 1/6 * 1/4
    assert "distracted" in shown


def test_thresholds_are_shown_as_given() -> None:
    entry = Entry(focus_by(rule), IMAGE, truth=LABELS == 0, thresholds=Thresholds(0.25, 0.9, 0.2))
    shown = flat(Page(render_report([entry])).text)
    assert "Precision 0.417 0.25" in shown
    assert "unclassified" not in shown
    assert "holistic" in shown


def test_without_truth_the_page_says_so() -> None:
    assert "none was given" in flat(Page(render_report([Entry(focus_by(rule), IMAGE)])).text)


def test_every_string_stays_text() -> None:
    focus = focus_by(rule, names={0: HOSTILE, 7: HOSTILE})
    entry = Entry(
        focus,
        IMAGE,
        title=HOSTILE,
        label=HOSTILE,
        command=HOSTILE,
        settings={HOSTILE: HOSTILE},
        panels=[Panel(HOSTILE, caption=HOSTILE, rows=((HOSTILE, HOSTILE),))],
        tables=[Table((HOSTILE,), ((HOSTILE,),), HOSTILE)],
    )
    text = render_report([entry, entry], HOSTILE)
    page = Page(text)
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert len(scripts) == 3
    assert not any(tag == "img" and a.get("src") == "x" for tag, a in page.tags)
    assert "alert(1)</script>" not in text
    assert "49" not in page.text.replace("49 ", "")
    assert page.payloads[0]["names"][1] == HOSTILE


def test_no_name_reaches_the_graph_as_markup() -> None:
    focus = focus_by(rule, names={0: '<a href="http://x">', 7: "\\N\\G&amp;"})
    drawn = formula.formula_graph(focus)
    if drawn.markup is None:
        pytest.skip(drawn.word)
    inside = Page(drawn.markup)
    assert {tag for tag, _ in inside.tags} <= {"svg", "g", "path", "polygon", "polyline", "ellipse", "text"}
    assert '<a href="http://x">' in inside.text
    assert "\\N\\G&amp;" in inside.text, "as written, not as entities or Graphviz's own escapes"
    assert sorted(int(a["data-region"]) for _, a in inside.tags if "data-region" in a) == [0, 1, 2, 3]


def test_a_graph_without_graphviz_is_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "available_engines", list)
    drawn = formula.formula_graph(focus_by(rule))
    assert drawn.markup is None
    assert "Graphviz" in drawn.word


def test_a_graph_that_nobody_could_read_is_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formula, "MOST_NODES", 5)
    assert "unreadable" in formula.formula_graph(focus_by(rule)).word


@pytest.mark.parametrize(
    ("holds", "part"),
    [
        (lambda kept: True, "is enough by itself, so this fill explains nothing"),
        (lambda kept: False, "the whole image is not called class 4 either"),
        (lambda kept: kept[7], "The formula is a single symbol"),
    ],
)
def test_formulas_without_brackets(holds, part: str) -> None:
    assert part in flat(Page(render_report([Entry(focus_by(holds), IMAGE)])).text)


def test_enough_without_and_trust_come_before_everything_else() -> None:
    shown = flat(Page(render_report([Entry(examined(focus_by(rule)), IMAGE, label="kite")])).text)
    parts = (
        "Why kite?",
        "Enough 0 and 7 keep it alone: 33 % of the image",
        "in all 2 ways: 0 together with (7 or -3 and 2) I0 & (I7 | (I_m3 & I2))",
        "Without 0, all else kept, the model says kite; needed: each of the 17 sets asked that keep the answer has it",
        "11 and 12, all else kept, the model says class 4 still, but only at 0.20; yet 0 and 7 alone keep it",
        "Trust of random region sets that the formula accepts, 90 % (80 to 95) keep the answer (of any, 40 %)",
        "of those that keep it, the formula accepts 70 % (60 to 80)",
        "with black too the first holds (1 of the 2 strongest hold)",
        "9 asked again, 0 differed",
        "The formula",
        "Final states 2",
        "How sure is this? none is missing of the irreducible sets",
    )
    places = [shown.find(part) for part in parts]
    assert -1 not in places, [part for part, place in zip(parts, places, strict=True) if place < 0]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"removal": "tokens"}, "Removal dropped regions are not filled: the model leaves them out"),
        ({"removal": "fill", "baseline": "mean"}, "Removal dropped regions are filled: mean"),
        ({"removal": "fill"}, "Removal dropped regions are filled: with values that were given"),
        ({}, None),
    ],
)
def test_how_regions_were_removed_is_told(asked: dict[str, Any], said: str | None) -> None:
    shown = flat(Page(render_report([Entry(replace(focus_by(rule), provenance=Provenance(**asked)), IMAGE)])).text)
    assert (said in shown) if said else ("Removal" not in shown)


@pytest.mark.parametrize("needed", [True, False])
def test_need_is_said_where_the_model_was_asked_for_it_alone(needed: bool) -> None:
    shown = flat(Page(render_report([Entry(examined(focus_by(rule), needed), IMAGE, truth=LABELS == 0)])).text)
    shown = shown.replace("This file needs no network", "")
    assert ("need" in shown) == needed
    assert " must " not in shown
    assert "cannot do without" not in shown
    assert "whatever the model" not in shown


def test_a_model_that_changes_its_mind_makes_nothing_certain() -> None:
    focus = examined(focus_by(rule))
    assert focus.trust is not None
    focus = replace(focus, trust=replace(focus.trust, repeats=Repeats(9, 2, certain=False)))
    page = Page(render_report([Entry(focus, IMAGE)]))
    assert "judged 2 of 9 sets otherwise: nothing here is certain" in flat(page.text)
    assert not any(a.get("class") == "certain" for _, a in page.tags)


def test_what_was_not_asked_has_no_section() -> None:
    page = Page(render_report([Entry(focus_by(rule), IMAGE)]))
    assert not {a.get("class") for _, a in page.tags} & {"without", "trust"}
    assert any(a.get("class") == "enough" for _, a in page.tags)
    assert page.payloads[0]["further"] is None


def test_nothing_is_said_of_an_empty_formula() -> None:
    page = Page(render_report([Entry(focus_by(lambda kept: False), IMAGE, truth=LABELS == 0)]))
    shown = flat(page.text)
    assert "whole image is not called class 4 either" in shown
    assert page.payloads[0]["strongest"] is None
    for part in ("The formula", "Final states 0", "as a graph", "Divergence", "nan", "∅", "holds"):
        assert part not in shown, part


def test_what_is_held_against_a_class_is_told() -> None:
    shown = flat(Page(render_report([Entry(examined(focus_by(rule)), IMAGE, against="drake")])).text)
    assert "0 and 7 alone keep class 4 ahead of drake" in shown
    assert "class 4 keeps less than half of its lead over drake (the model says kite)" in shown


def test_answers_beside_the_search_are_in_the_page() -> None:
    single = np.eye(len(IDS), dtype=bool)
    focus = answered(focus_by(rule), single, [False, True] * 3)
    (payload,) = Page(render_report([Entry(focus, IMAGE)])).payloads
    further = payload["further"]
    assert np.array_equal(rows(further["states"]), single)
    assert further["classes"] == [[4, "kite"], [5, "<b>drake</b>"], [8, "class 8"]]
    assert further["tops"][:2] == [[[1, 0.75], [0, 0.2], [2, 0.05]], [[0, 0.75], [1, 0.2], [2, 0.05]]]
    labels = replace(focus.further, top=None, top_probability=None)  # type: ignore[type-var]
    (payload,) = Page(render_report([Entry(replace(focus, further=labels), IMAGE)])).payloads
    assert payload["further"]["tops"][:2] == [[[1, None]], [[0, None]]]


def test_without_an_image_the_regions_are_drawn() -> None:
    page = Page(render_report([Entry(focus_by(rule))]))
    assert "The image itself was not given" in page.text
    assert any(tag == "image" for tag, _ in page.tags)


def test_the_image_of_the_focus_is_used() -> None:
    pixels = np.zeros((*LABELS.shape, 3), np.uint8)
    page = Page(render_report([Entry(focus_by(rule, image=pixels))]))
    assert "not given" not in page.text
    (uri,) = [a["href"] for tag, a in page.tags if tag == "image"]
    assert uri.startswith("data:image/png;base64,")


def test_without_regions_on_an_image_there_is_no_image() -> None:
    page = Page(render_report([Entry(focus_by(rule, label_map=None))]))
    assert not any(tag == "image" for tag, _ in page.tags)
    assert any(a.get("data-node") == "region" for _, a in page.tags)


def test_panels_and_tables_are_shown() -> None:
    panel = Panel("GradCAM", Image.new("RGB", (20, 10)), "a caption", (("area", "0.5"),))
    table = Table(("method", "seconds"), (("LIME", "1.5"),), "All of them")
    page = Page(render_report([Entry(focus_by(rule), IMAGE, panels=[panel], tables=[table])]))
    for part in ("GradCAM", "a caption", "0.5", "LIME", "1.5", "All of them"):
        assert part in page.text


def test_several_decisions_have_a_table_of_contents() -> None:
    entries = [Entry(focus_by(rule), IMAGE, title=f"photo {number}") for number in range(3)]
    page = Page(render_report(entries))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids)), "ids are unique in the whole page"
    links = {a["href"][1:] for tag, a in page.tags if tag == "a"}
    assert links == {"e0", "e1", "e2"}
    assert links <= set(ids)
    assert len(page.payloads) == 3


def test_a_large_record_is_cut_to_the_answers_near_the_final_states(monkeypatch: pytest.MonkeyPatch) -> None:
    focus = focus_by(rule)
    monkeypatch.setattr(data, "ANSWER_BYTES", 6 * 14)
    page = Page(render_report([Entry(focus, IMAGE)]))
    answers = page.payloads[0]["answers"]
    kept = {row.tobytes() for row in rows(answers["states"])}
    assert answers["count"] == len(kept) == 14
    around = st.children(st.pack(focus.final_states), 6)[0]
    assert {row.tobytes() for row in (*focus.final_states, *st.unpack(around, 6))} <= kept
    assert f"holds 14 of the model’s {focus.evaluated.total}" in flat(page.text)


def test_many_final_states_are_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "STATE_BYTES", 1)
    (payload,) = Page(render_report([Entry(focus_by(rule), IMAGE)])).payloads
    assert len(rows(payload["states"])) == 1
    assert payload["statesTotal"] == 2
    assert payload["necessaryCut"] is True


def test_a_large_explanation_stays_below_five_megabytes() -> None:
    rng = np.random.default_rng(0)
    ids = np.arange(196)
    labels = np.kron(ids.reshape(14, 14), np.ones((46, 46), int))
    labels = labels[np.arange(644)[:, None], (np.arange(644) + rng.integers(-6, 7, (644, 1))) % 644]
    ids = np.unique(labels)
    states = np.unique(rng.random((700, len(ids))) < 0.04, axis=0)
    asked = rng.random((150_000, len(ids))) < 0.5
    base = focus_by(lambda kept: any(kept.values()), np.array([0, 1]))
    focus = replace(
        base,
        region_ids=ids,
        areas=np.full(len(ids), 1 / len(ids)),
        final_states=states,
        label_map=labels,
        certificate=replace(base.certificate, num_regions=len(ids)),
        evaluated=Evaluated(
            st.pack(asked), asked[:, 0], rng.random(len(asked)).astype(np.float32), len(ids), len(asked)
        ),
    )
    image = rng.random((3, 644, 644)).astype(np.float32)
    assert len(render_report([Entry(focus, image)]).encode()) < 5_000_000


def test_writing(tmp_path: Path) -> None:
    focus = focus_by(rule, image=np.zeros((*LABELS.shape, 3), np.uint8))
    path = focus.report(tmp_path / "new" / "out.html", label="kite")
    assert "kite" in path.read_text(encoding="utf-8")
    assert write_report(str(tmp_path / "b.html"), [Entry(focus)]) == tmp_path / "b.html"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "at least one"),
        ([Entry(focus_by(rule), np.zeros((3, 4, 4)))], "4 x 4 pixels"),
        ([Entry(focus_by(rule, label_map=None), truth=LABELS == 0)], "label map"),
        ([Entry(focus_by(rule), truth=LABELS == 0, match="both")], "match"),  # type: ignore[arg-type]
        ([Entry(focus_by(rule), truth=np.zeros((2, 2), bool))], "height and width"),
    ],
)
def test_errors_say_what_is_wrong(entries: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        render_report(entries)
