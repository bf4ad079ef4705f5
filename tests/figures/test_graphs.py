"""Graphs whose regions can be seen: by both engines, with the label below the region, the rest dimmed."""

import xml.etree.ElementTree as ET
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from makers import graph_labels
from oracles import all_assignments, contains_some, matrix
from PIL import Image

from captum_focalogic.errors import InputError
from captum_focalogic.figures.graphs import illustrated
from captum_focalogic.logic import (
    available_engines,
    final_state_lattice,
    refinement_graph,
    render,
    to_expression,
    to_networkx,
)
from captum_focalogic.logic.drawing import RED

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


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("ending", ["svg", "png"])
def test_both_engines_draw_formulas_with_thumbnails(tmp_path, engine, ending):
    image, label_map = stripes(7)
    drawing = illustrated(to_networkx(to_expression(STATES)), image, label_map, title="T(V)")
    path = render(drawing, tmp_path / f"formula.{ending}", engine=engine)
    shown = path.read_bytes()
    if ending == "svg":
        assert sorted(graph_labels(shown)) == sorted(["AND", "OR", "AND", "OR", *(f"I{i}" for i in range(1, 7))])
        assert shown.count(b"data:image/png;base64,") == 6
        assert b"focalogic-" not in shown  # nothing points at the temporary files
        assert RED.encode() in shown
    else:
        pixels = np.asarray(Image.open(BytesIO(shown)).convert("RGB")).astype(int)
        red = tuple(int(RED[i : i + 2], 16) for i in (1, 3, 5))
        assert (np.abs(pixels - red).max(axis=2) < 4).sum() > 300
        assert pixels.shape[0] > 200


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wide_label_lies_below_its_image_not_on_it(tmp_path, engine):
    image, label_map = stripes(7)
    names = dict.fromkeys(range(7), "a name much wider than the image")
    drawing = illustrated(to_networkx(to_expression(STATES)), image, label_map, names=names)
    svg = ET.fromstring(render(drawing, tmp_path / "wide.svg", engine=engine).read_bytes())
    space = "{http://www.w3.org/2000/svg}"
    illustrated_nodes = [
        g for g in svg.iter(f"{space}g") if g.find(f".//{space}image") is not None and g.get("class") == "node"
    ]
    assert len(illustrated_nodes) == 6
    for node in illustrated_nodes:
        shown = node.find(f".//{space}image")
        bottom = float(shown.get("y")) + float(shown.get("height").removesuffix("px"))
        first_baseline = min(float(text.get("y")) for text in node.findall(f".//{space}text"))
        assert bottom < first_baseline - 8, "the first line's letters are about 9 points high"


def test_state_graphs_say_what_they_hide_and_what_is_dropped(tmp_path):
    everything = all_assignments(9)
    final = matrix([{1, 4}, {1, 2, 3, 5}], 9)
    valid = contains_some(everything, final)
    focus = SimpleNamespace(
        region_ids=np.arange(9), final_states=final, evaluated=SimpleNamespace(states=everything, valid=valid)
    )
    image, label_map = stripes(9)
    source = illustrated(refinement_graph(focus), image, label_map, names={4: "wheel"}).source
    assert "not shown: " in source
    assert "everything" in source
    assert "1 wheel" in source
    assert "or −wheel" in source
    lattice = illustrated(final_state_lattice(final), names={1: "sky"}).source
    assert "sky (in 2)" in lattice


def test_thumbnails_show_the_region_and_dim_the_rest():
    image, label_map = stripes(3)
    drawing = illustrated(to_networkx(to_expression([[False, True, False]])), image, label_map)
    shown = np.asarray(Image.open(drawing.thumbnails.region(1).path).convert("RGB"))
    middle = shown[shown.shape[0] // 2, shown.shape[1] // 2]
    assert np.abs(middle.astype(int) - image[0, 18].astype(int)).max() < 12
    edge = shown[shown.shape[0] // 2, 8].astype(int)
    assert np.ptp(edge) < 6  # grey
    assert drawing.thumbnails.region(99) is None


def test_showing_regions_needs_an_image_and_its_map():
    image, label_map = stripes(3)
    graph = to_networkx(to_expression([[True]]))
    with pytest.raises(InputError, match="one of them is missing"):
        illustrated(graph, image)
    with pytest.raises(InputError, match="as the image"):
        illustrated(graph, image, label_map[:-1])
    with pytest.raises(InputError, match="uint8"):
        illustrated(graph, image[..., :2], label_map)
