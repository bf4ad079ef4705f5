"""The page about integrations: what it makes is of use, and no name is left out."""

import re
from pathlib import Path

import pages
import pytest
import torch

from captum_focalogic.names import names_of
from captum_focalogic.regions import as_label_map

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text()


@pytest.mark.parametrize("name", names_of("model"))
def test_every_model_name_is_on_the_page(name):
    # A name without text ends where the quotation does.
    written = [f"`--model {name}:", f"`{name}:", f"`--model {name}`", f"`{name}`"]
    assert any(text in PAGE for text in written) or name in ("cascade", "demo")


@pytest.mark.parametrize("name", names_of("segmenter"))
def test_every_segmenter_name_is_on_the_page(name):
    assert f"{name}:" in PAGE or name in ("felzenszwalb", "grid", "quickshift")


def test_links_lead_to_headings():
    headings = {
        re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", PAGE, re.M)
    }
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert links
    assert links <= headings


def test_the_ten_lines_work():
    names = pages.run("docs/integrations.md").scope
    image = torch.zeros(3, 4, 6)
    image[:, 1:3, 1:3] = 1.0
    assert as_label_map(names["halves"](image), (4, 6)).sum() == 12
    assert names["truth"](image, "square").masks.sum() == 4
    assert names["model"](image[None]).shape == (1, 3)


def test_the_objects_of_the_entry_points_work():
    names = pages.run("docs/integrations.md").scope
    image = torch.rand(3, 64, 64)
    assert names["load"]("", None).forward(image[None]).shape == (1, 2)
    assert as_label_map(names["cut"]("0.5")(image), (64, 64)).max() == 1
    assert names["look"]("")(image, "cat", "1.jpg").shape == (64, 64)
    assert names["classes"]("") == ["cat", "dog"]
