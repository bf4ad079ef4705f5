"""The page for people of other packages runs as it stands, and prints what it says."""

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "coming-from.md"


@pytest.mark.filterwarnings("ignore")
def test_the_page_runs_and_prints_what_it_says() -> None:
    for package in ("lime", "shap", "shapiq", "pytorch_grad_cam"):
        pytest.importorskip(package)
    scope: dict[str, object] = {"__name__": "page"}
    printed = ""
    for language, text in re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        if language == "text":
            assert printed == text
            continue
        stream = io.StringIO()
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(text, str(PAGE), "exec"), scope)
        printed = stream.getvalue()
    assert scope["answer"].focus.region_sets() == [frozenset({1, 3}), frozenset({1, 4})]  # type: ignore[attr-defined]
    assert set(scope["weights"]) == set(range(len(scope["weights"])))  # type: ignore[call-overload, arg-type]
    assert "red disc" in printed


def test_no_block_is_longer_than_six_lines() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert all(len([line for line in block.splitlines() if line.strip()]) <= 7 for block in blocks)


def test_pages_that_it_names_exist() -> None:
    for name in re.findall(r"\]\(([\w-]+\.md)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / name).exists()
