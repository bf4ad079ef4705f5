"""The page of promises: each command names tests that exist, and each promise has one."""

import shlex
from pathlib import Path

import pages
import pytest

ROOT = Path(__file__).parents[2]
LINES = [
    line
    for line in (ROOT / "docs/reliability.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]


@pytest.mark.parametrize("line", LINES)
def test_a_promise_has_a_command_that_runs_tests(line: str) -> None:
    *_, said, end = line.rsplit(" | ", maxsplit=1)[-1].split("`")
    assert end == " |"
    program, *words = shlex.split(said)
    assert program == "pytest"
    wanted = words.pop().split(" or ") if "-k" in words and words.pop(-2) else [""]
    assert words
    for path in words:
        assert pages.test_names(ROOT / path), path
    found = [name for path in words for name in pages.test_names(ROOT / path)]
    assert [part for part in wanted if not any(part in name for name in found)] == []
