"""The page about integrations: its code is Python, its names exist, and no name is left out."""

import ast
import re
from pathlib import Path

import pytest
import torch

from captum_focalogic import FocaLogic
from captum_focalogic.names import names_of
from captum_focalogic.regions import as_label_map

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def imports_of(block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("captum_focalogic"):
            for alias in node.names:
                yield node.module, alias.name


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_are_python_and_their_imports_exist(block):
    compile(block, "docs/integrations.md", "exec")
    for module, name in imports_of(block):
        assert hasattr(__import__(module, fromlist=[name]), name), f"{module} has no {name}"


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
    own = [block for block in BLOCKS if "def halves" in block or "def truth(image" in block]
    assert len(own) == 2
    names = {"torch": torch, "FocaLogic": FocaLogic, "model": lambda images: images.mean((2, 3))}
    for block in own:
        exec(block, names)
    image = torch.zeros(3, 4, 6)
    image[:, 1:3, 1:3] = 1.0
    assert as_label_map(names["halves"](image), (4, 6)).sum() == 12
    assert names["truth"](image, "square").masks.sum() == 4
