"""Pictures of graphs: what is said about them, hostile names, both engines, and what happens without any."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logic_oracles import all_assignments, contains_some, matrix
from PIL import Image

from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.logic import (
    NoEngineError,
    RenderError,
    available_engines,
    final_state_lattice,
    refinement_graph,
    render,
    rendering,
    to_expression,
    to_graphviz,
    to_networkx,
)
from captum_focalogic.logic.drawing import RED

HOSTILE = [
    "<b>x</b>",
    "<<i>y</i>>",
    'a"b',
    "a\\N",
    "back\\",
    "R&amp;D",
    "&lt;",
    "] -> n0 [",
    "{a|b}",
    "ünï ∧",
    "n" * 200,
]
ENGINES = [
    pytest.param(
        engine, marks=pytest.mark.skipif(engine not in available_engines(), reason=f"{engine} is not installed")
    )
    for engine in ("dot", "pygraphviz")
]
STATES = matrix([{1, 4}, {1, 2, 3, 5}, {1, 2, 3, 6}], 7)


def stripes(columns: int) -> tuple[np.ndarray, np.ndarray]:
    label_map = np.repeat(np.arange(columns), 12)[None, :].repeat(60, axis=0)
    colours = np.random.default_rng(0).integers(40, 255, (columns, 3), dtype=np.uint8)
    return colours[label_map], label_map


def texts(svg: bytes) -> list[str]:
    """The labels of an SVG, lines of one node joined."""
    space = "{http://www.w3.org/2000/svg}"
    nodes = ET.fromstring(svg).iter(f"{space}g")
    return ["".join(t.text or "" for t in g.findall(f".//{space}text")) for g in nodes if g.get("class") == "node"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("ending", ["svg", "png"])
def test_both_engines_draw_formulas_with_thumbnails(tmp_path, engine, ending):
    image, label_map = stripes(7)
    drawing = to_graphviz(to_networkx(to_expression(STATES)), image, label_map, title="T(V)")
    path = render(drawing, tmp_path / f"formula.{ending}", engine=engine)
    picture = path.read_bytes()
    if ending == "svg":
        assert sorted(texts(picture)) == sorted(["AND", "OR", "AND", "OR", *(f"I{i}" for i in range(1, 7))])
        assert picture.count(b"data:image/png;base64,") == 6
        assert b"focalogic-" not in picture  # nothing points at the temporary files
        assert RED.encode() in picture
    else:
        pixels = np.asarray(Image.open(BytesIO(picture)).convert("RGB")).astype(int)
        red = tuple(int(RED[i : i + 2], 16) for i in (1, 3, 5))
        assert (np.abs(pixels - red).max(axis=2) < 4).sum() > 300
        assert pixels.shape[0] > 200


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wide_label_lies_below_its_picture_not_on_it(tmp_path, engine):
    image, label_map = stripes(7)
    names = dict.fromkeys(range(7), "a name much wider than the picture")
    drawing = to_graphviz(to_networkx(to_expression(STATES)), image, label_map, names=names)
    svg = ET.fromstring(render(drawing, tmp_path / "wide.svg", engine=engine).read_bytes())
    space = "{http://www.w3.org/2000/svg}"
    pictured = [g for g in svg.iter(f"{space}g") if g.find(f".//{space}image") is not None and g.get("class") == "node"]
    assert len(pictured) == 6
    for node in pictured:
        picture = node.find(f".//{space}image")
        bottom = float(picture.get("y")) + float(picture.get("height").removesuffix("px"))
        first_baseline = min(float(text.get("y")) for text in node.findall(f".//{space}text"))
        assert bottom < first_baseline - 8, "the first line's letters are about 9 points high"


@pytest.mark.parametrize("engine", ENGINES)
def test_hostile_names_are_shown_as_they_are(tmp_path, engine):
    names = dict(enumerate(HOSTILE))
    states = np.eye(len(HOSTILE), dtype=bool)
    drawing = to_graphviz(to_networkx(to_expression(states)), names=names, title='<b>"\\N&amp;')
    shown = texts(render(drawing, tmp_path / "names.svg", engine=engine).read_bytes())
    assert len(shown) == len(HOSTILE) + 1
    for name in HOSTILE:
        expected = (name if len(name) <= 60 else name[:59] + "…").replace(" ", "")
        assert expected in {re.sub(r"\s", "", label) for label in shown}


@pytest.mark.skipif(not available_engines(), reason="no Graphviz engine is installed")
@given(st.text(min_size=1, max_size=15).filter(lambda s: s.isprintable() and s.strip() == s))
@settings(max_examples=25, deadline=None)
def test_any_printable_name_draws_one_node(name):
    source = to_graphviz(to_networkx(to_expression([[True]])), names={0: name}).source
    svg = rendering._DRAW[available_engines()[0]](source, "svg")
    (shown,) = texts(svg)
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", name)


def test_shared_regions_are_red_and_others_white():
    source = to_graphviz(to_networkx(to_expression(STATES))).source
    nodes = {re.search(r'label="?(\w+)', line)[1]: line for line in source.splitlines() if "label=" in line}
    assert RED in nodes["I1"]
    assert all(RED not in nodes[f"I{i}"] for i in range(2, 7))
    assert nodes["AND"].count("circle") == 1


def test_state_graphs_say_what_they_hide_and_what_is_dropped(tmp_path):
    everything = all_assignments(9)
    final = matrix([{1, 4}, {1, 2, 3, 5}], 9)
    valid = contains_some(everything, final)
    focus = SimpleNamespace(
        region_ids=np.arange(9), final_states=final, evaluated=SimpleNamespace(states=everything, valid=valid)
    )
    image, label_map = stripes(9)
    source = to_graphviz(refinement_graph(focus), image, label_map, names={4: "wheel"}).source
    assert "not shown: " in source
    assert "everything" in source
    assert "1 wheel" in source
    assert "or −wheel" in source
    lattice = to_graphviz(final_state_lattice(final), names={1: "sky"}).source
    assert "sky (in 2)" in lattice


def test_thumbnails_show_the_region_and_dim_the_rest():
    image, label_map = stripes(3)
    drawing = to_graphviz(to_networkx(to_expression([[False, True, False]])), image, label_map)
    picture = np.asarray(Image.open(drawing.thumbnails.region(1)).convert("RGB"))
    middle = picture[picture.shape[0] // 2, picture.shape[1] // 2]
    assert np.abs(middle.astype(int) - image[0, 18].astype(int)).max() < 12
    edge = picture[picture.shape[0] // 2, 8].astype(int)
    assert np.ptp(edge) < 6  # grey
    assert drawing.thumbnails.region(99) is None


def test_pictures_need_an_image_and_its_map():
    image, label_map = stripes(3)
    graph = to_networkx(to_expression([[True]]))
    with pytest.raises(InputError, match="one of them is missing"):
        to_graphviz(graph, image)
    with pytest.raises(InputError, match="as the image"):
        to_graphviz(graph, image, label_map[:-1])
    with pytest.raises(InputError, match="uint8"):
        to_graphviz(graph, image / 255.0, label_map)
    with pytest.raises(InputError, match="printable"):
        to_graphviz(graph, names={0: "a\nb"})
    graph.nodes[0]["kind"] = "spaceship"
    with pytest.raises(InputError, match="spaceship"):
        to_graphviz(graph)


def test_without_an_engine_the_source_is_written_and_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "available_engines", list)
    drawing = to_graphviz(to_networkx(to_expression(STATES)))
    with pytest.raises(NoEngineError, match=r"captum-focalogic\[render\].*formula\.dot") as caught:
        render(drawing, tmp_path / "formula.png")
    assert isinstance(caught.value, MissingExtraError)
    assert isinstance(caught.value, ImportError)
    assert caught.value.source == tmp_path / "formula.dot"
    assert caught.value.source.read_text(encoding="utf-8") == drawing.source
    assert render(drawing, tmp_path / "plain.dot").read_text(encoding="utf-8") == drawing.source


def test_no_engine_is_found_on_a_bare_machine():
    code = (
        "import sys; sys.modules['pygraphviz'] = None\n"
        "from captum_focalogic.logic import available_engines\n"
        "print(available_engines())"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_unknown_endings_and_engines_are_refused(tmp_path):
    drawing = to_graphviz(to_networkx(to_expression(STATES)))
    with pytest.raises(InputError, match=r"\.svg, \.png or \.dot"):
        render(drawing, tmp_path / "formula.gif")
    with pytest.raises(InputError, match="engine is 'neato'"):
        render(drawing, tmp_path / "formula.svg", engine="neato")


def test_a_failing_engine_leaves_the_source(tmp_path, monkeypatch):
    def fails(source: str, kind: str) -> bytes:
        raise OSError("no fonts")

    monkeypatch.setattr(rendering, "available_engines", lambda: ["dot"])
    monkeypatch.setitem(rendering._DRAW, "dot", fails)
    with pytest.raises(RenderError, match="no fonts"):
        render(to_graphviz(to_networkx(to_expression(STATES))), tmp_path / "formula.svg")
    assert (tmp_path / "formula.dot").exists()
