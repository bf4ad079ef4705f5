"""Levels of a zoom on the page: all of them there without scripts, and a slider of the browser's own with them."""

import re

import numpy as np
import pytest
from makers import focus_by, rule

from captum_focalogic import explain_image
from captum_focalogic.report.page import Entry, render_report
from captum_focalogic.report.zoom import zoom_shown

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def answer():
    def dots(images):
        present = images.mean(dim=1) == 1
        holds = present[:, 3, 4] & (present[:, 20, 5] | present[:, 20, 20])
        return torch.stack([torch.zeros(len(images)), torch.where(holds, 3.0, -3.0)], dim=1)

    quarters = np.array([[1, 2], [3, 4]]).repeat(12, axis=0).repeat(12, axis=1)
    image = np.full((24, 24, 3), 255, dtype=np.uint8)
    return explain_image(dots, image, segmenter=quarters, baseline=0.5, criterion="top1", zoom=2)


def test_every_level_is_a_picture_with_its_words(answer):
    page = render_report([Entry(answer.focus, title="dots")])
    levels = answer.focus.zoom.levels
    assert len(levels) == 2
    assert page.count('class="level"') == 3
    assert page.count("data:image/") >= 4
    assert "relative to what coarser levels dropped" in page
    assert "holds with black too" in page
    assert re.search(r'<input type="range" id="e0-zr" min="0" max="2" value="2" step="1" data-range>', page)
    assert '<label for="e0-zr">' in page


def test_nothing_of_it_is_hidden_without_scripts(answer):
    page = render_report([Entry(answer.focus, title="dots")])
    hidden = re.findall(r"<(\w+)[^>]* hidden[ >]", page)
    figures = re.findall(r"<figure class=\"level[^>]*>", page)
    assert "figure" not in hidden
    assert len(figures) == 3
    assert "data-slider hidden" in page
    assert "style=" not in "".join(figures)


def test_a_focus_without_a_zoom_has_no_such_part():
    focus = focus_by(rule)
    assert zoom_shown(focus, None) is None
    assert "data-zoom aria" not in render_report([Entry(focus, title="plain")])


def test_names_in_levels_are_text(answer):
    from dataclasses import replace

    from captum_focalogic.levels import with_shared

    hostile = with_shared(replace(answer.focus, names={1: "</script><img src=x onerror=alert(1)>"}))
    assert "<img src=x" not in render_report([Entry(hostile, title="dots")])
