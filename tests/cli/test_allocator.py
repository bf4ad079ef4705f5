"""Freed memory is kept by the command line, and only by it."""

import os
import subprocess
import sys

import pytest

MAPPED = """
import ctypes, sys


class MallInfo(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_int) for name in names.split()]


def large_blocks_are_mapped():
    # 64 MiB are more than glibc keeps by itself, whatever was freed before.
    library = ctypes.CDLL(None)
    library.mallinfo.restype = MallInfo
    library.malloc.restype = ctypes.c_void_p
    before = library.mallinfo().hblks
    assert library.malloc(ctypes.c_size_t(64 << 20))
    return library.mallinfo().hblks > before


"""

COMMAND_LINE = """
from captum_focalogic.cli import main
try:
    main(["--version"])
except SystemExit as left:
    assert left.code == 0
"""

WORKER = """
from captum_focalogic.cli.study import find_in_worker
find_in_worker("demo", None)
"""

LIBRARY = """
import torch
import captum_focalogic
from captum_focalogic import FocaLogic
model = lambda x: torch.stack([x.sum(1) * 0 + 1.5, x[:, 0] + x[:, 1] * x[:, 2]], dim=1)
assert FocaLogic(model).explain(torch.ones(1, 3), target=1)
"""


def glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError):
        return False


def maps_large_blocks(code: str, **environment: str) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", f"{MAPPED}{code}\nprint('mapped', large_blocks_are_mapped())"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1] == "mapped True"


@pytest.mark.skipif(not glibc(), reason="the C library is another one")
@pytest.mark.parametrize("code", ["", "import captum_focalogic", LIBRARY], ids=["nothing", "import", "explain"])
def test_a_library_call_leaves_the_allocator_alone(code: str) -> None:
    assert maps_large_blocks(code)


@pytest.mark.skipif(not glibc(), reason="the C library is another one")
@pytest.mark.parametrize("code", [COMMAND_LINE, WORKER], ids=["command line", "worker of a study"])
def test_processes_that_are_ours_keep_their_memory(code: str) -> None:
    assert not maps_large_blocks(code)


@pytest.mark.skipif(not glibc(), reason="the C library is another one")
def test_what_the_environment_says_is_kept() -> None:
    assert maps_large_blocks(COMMAND_LINE, MALLOC_MMAP_THRESHOLD_="1000000")


IMPORTS = """
import gc, sys
from captum_focalogic.cli.allocator import uncollected_imports

collected = []
gc.callbacks.append(lambda phase, _: collected.append(phase))
collected_before = {before}
with uncollected_imports():
    import torch
print(bool(collected), gc.isenabled(), gc.get_freeze_count() > 100_000)
"""


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("None", "False True True"),  # nothing was collected meanwhile; from now on it is, apart from what was imported
        ("gc.disable()", "False False False"),  # whoever collects nothing, decides
        ("__import__('torch')", "True True False"),  # a process that has imported is left as it is
    ],
)
def test_nothing_is_collected_while_modules_are_imported(before: str, said: str) -> None:
    code = IMPORTS.format(before=before)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == said
