"""Pages of the documentation: their fenced blocks, run as they stand, one after the other, in an empty folder.

Every page of Markdown is run by :func:`run`, once a process: blocks of Python in one namespace, lines of a shell
through the command line's own code. A block of ``text`` right behind a block is what that block prints, ``...`` for
what is left out. What a page takes from a network, and what it takes as the reader's own, comes from :mod:`offline`. A
block that cannot be run has its reason in a comment on the line above it::

    <!-- not run: it starts a server in the cloud -->
"""

import ast
import contextlib
import doctest
import functools
import glob
import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import tempfile
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from captum_focalogic.errors import MissingExtraError

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md"))]
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<why>[^>]+?) -->\n+)?```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


SHOWN = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
"""How what is printed is held against what a page shows, whose lines are shorter."""


@dataclass(frozen=True)
class Block:
    """A fenced block: why it is not run, and what it is said to print."""

    page: str
    line: int
    language: str
    code: str
    why: str | None = None
    prints: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass
class Ran:
    """What the blocks of a page left behind."""

    scope: dict[str, Any] = field(default_factory=dict)
    printed: dict[int, str] = field(default_factory=dict)


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page; what stands right behind one as ``text`` belongs to it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks: list[Block] = []
    end = 0
    for found in FENCE.finditer(text):
        language, code, why = found["language"], found["code"], found["why"]
        prints = blocks and language == "text" and why is None and not text[end : found.start()].strip()
        if prints and blocks[-1].language != "text":
            blocks[-1] = Block(**{**vars(blocks[-1]), "prints": code})
        else:
            line = text[: found.start("code")].count("\n")
            blocks.append(Block(page, line, language, code, why))
        end = found.end()
    return blocks


@functools.cache
def run(page: str) -> Ran:
    """Run a page."""
    import offline

    ran = Ran()
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        _quiet(),
        offline.offline(Path(folder), page) as given,
    ):
        ran.scope.update(given, __name__="page")
        for block in blocks_of(page):
            if block.why is None:
                ran.printed[block.line] = _run_block(block, ran.scope)
    return ran


def _run_block(block: Block, scope: dict[str, Any]) -> str:
    kind = KINDS.get(block.language)
    assert kind is not None, f"{block}: nothing is known of {block.language or 'blocks without a language'}"
    import offline

    printed = io.StringIO()
    published = offline.AS_PUBLISHED.set(block.prints is not None)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()), _quiet():
            kind(block, scope)
    except (MissingExtraError, ModuleNotFoundError) as error:
        if (error.name or "").startswith("captum_focalogic"):
            # A module of this package that is not there is a fault of the page, not something to install.
            raise AssertionError(f"{block} fails with {error}") from error
        pytest.skip(f"{block}: {error}")
    except Exception as error:
        raise AssertionError(f"{block} fails with {type(error).__name__}: {error}\n\n{block.code}") from error
    finally:
        offline.AS_PUBLISHED.reset(published)
    if block.prints is not None:
        same = doctest.OutputChecker().check_output(block.prints, printed.getvalue(), SHOWN)
        assert same, f"{block} prints\n{printed.getvalue()}\nnot\n{block.prints}"
    return printed.getvalue()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _python(block: Block, scope: dict[str, Any]) -> None:
    code = compile("\n" * block.line + block.code, str(ROOT / block.page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    exec(code, scope)


def _shell(block: Block, scope: dict[str, Any]) -> None:
    for line in block.code.replace("\\\n", " ").splitlines():
        _run_line(line, block)


def _console(block: Block, scope: dict[str, Any]) -> None:
    """What begins with a dollar is run; what stands below it is what that prints."""
    for said in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        command, _, expected = said.partition("\n")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            _run_line(command, block)
        same = doctest.OutputChecker().check_output(expected, printed.getvalue(), SHOWN)
        assert same, f"{command} prints\n{printed.getvalue()}\nnot\n{expected}"


def _run_line(line: str, block: Block) -> None:
    import offline

    for usual, fewer in offline.FEWER.items():
        line = re.sub(rf"{usual}\b", fewer, line)
    words = shlex.split(line, comments=True)
    while words:
        end = words.index("&&") if "&&" in words else len(words)
        command, words = words[:end], words[end + 1 :]
        while command and (command[0] == "time" or re.fullmatch(r"\w+=\S*", command[0])):
            command = command[1:]
        program = "script" if command[0].startswith(".ci/") else command[0]
        assert program in PROGRAMS, f"{block}: {program} is no program that this knows; say why it is not run"
        PROGRAMS[program]([place for word in command for place in (sorted(glob.glob(word)) if "*" in word else [word])])


def _focalogic(words: list[str]) -> None:
    from makers import run_command

    # An experiment takes minutes: it says what it would do, and is done small in the tests of its own.
    more = ["--dry-run"] if words[1:2] == ["experiment"] and "--dry-run" not in words else []
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = run_command(*words[1:], *more)
    assert code == 0, f"{shlex.join(words)} leaves with {code}: {said.getvalue()}"


def _module(words: list[str]) -> None:
    assert words[1] == "-m"
    given, sys.argv = sys.argv, words[2:]
    try:
        runpy.run_module(words[2], run_name="__main__")
    finally:
        sys.argv = given


def _pip(words: list[str]) -> None:
    """Not run, as it needs a network: what it installs is this package, with extras that there are."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert words[1] == "install"
    named = [found for word in words for found in re.findall(r"^(?:\.|captum-focalogic)\[(.+)\]$", word)]
    assert named
    assert set(",".join(named).split(",")) <= set(extras)


def _pytest(words: list[str]) -> None:
    """Not run, as that is this: the tests that it names are there."""
    wanted = words[words.index("-k") + 1].split(" or ") if "-k" in words else []
    paths = [word for place, word in enumerate(words[1:]) if not word.startswith("-") and words[place] != "-k"]
    found = [name for path in paths for name in test_names(ROOT / path)]
    assert all(test_names(ROOT / path) for path in paths), words
    assert [part for part in wanted if not any(part in name for name in found)] == [], words


def test_names(path: Path) -> list[str]:
    """The tests of a file or a folder."""
    files = [path] if path.is_file() else sorted(path.glob("test_*.py"))
    return [name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M)]


test_names.__test__ = False  # type: ignore[attr-defined]


def _script(words: list[str]) -> None:
    """Not run, as it makes environments and runs all tests: it is there, and a shell can read it."""
    path = ROOT / words[0]
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", path], check=True)


PROGRAMS = {"focalogic": _focalogic, "python": _module, "pip": _pip, "pytest": _pytest, "script": _script}


def _toml(block: Block, scope: dict[str, Any]) -> None:
    """Entry points, of groups that there are; the objects are in a block of the same page."""
    from captum_focalogic.names import GROUPS

    for group, entries in tomllib.loads(block.code)["project"]["entry-points"].items():
        assert group in GROUPS.values(), group
        for entry in entries.values():
            name = entry.partition(":")[2]
            assert any(f"def {name}(" in other.code for other in blocks_of(block.page)), name


def _json(block: Block, scope: dict[str, Any]) -> None:
    json.loads(block.code)


def _yaml(block: Block, scope: dict[str, Any]) -> None:
    yaml = pytest.importorskip("yaml")
    list(yaml.safe_load_all(block.code))


def _dockerfile(block: Block, scope: dict[str, Any]) -> None:
    """The command that it ends with."""
    command = json.loads(block.code.replace("\\\n", " ").rpartition("CMD ")[2])
    command[command.index("--port") + 1] = "0"  # any that is free
    _focalogic(command)


def _nothing(block: Block, scope: dict[str, Any]) -> None:
    """A drawing in letters, or names of files."""


KINDS = {
    "python": _python,
    "sh": _shell,
    "console": _console,
    "toml": _toml,
    "json": _json,
    "yaml": _yaml,
    "dockerfile": _dockerfile,
    "text": _nothing,
}
