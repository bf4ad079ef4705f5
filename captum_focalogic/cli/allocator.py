"""Memory of a process that is ours: freed blocks are kept, and what is imported is not searched for garbage.

By default glibc asks the kernel for each large block and gives it back at once, and the kernel has to clear every page
again: of a search that runs the same model hundreds of times this took two fifths of the processor's time. Only a
process that is ours is set up so: memory that was used once stays with it.

What importing torch and sympy makes stays until the end, yet Python's collector walks through it again and again, and
once more when the process ends.
"""

import atexit
import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h."""

_LARGE = 1 << 30
_LARGEST_BEFORE = 32 << 20
"""What older versions of glibc take at most as the threshold from where on blocks are mapped."""

_CHOSEN = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
"""With one of these in the environment the user has decided already."""


def keep_freed_memory() -> bool:
    """Keep what is freed in this process, for what is allocated next; to be called by programs, never by a library.

    Returns
    -------
    bool
        Whether it was done: only on Linux with glibc, and where the environment does not say otherwise.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _CHOSEN):
        return False
    try:
        if not (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
            return False
        mallopt = ctypes.CDLL(None).mallopt
    except (ValueError, OSError, AttributeError):
        return False
    mapped = mallopt(_MMAP_THRESHOLD, _LARGE) or mallopt(_MMAP_THRESHOLD, _LARGEST_BEFORE)
    return bool(mapped and mallopt(_TRIM_THRESHOLD, _LARGE))


@contextmanager
def uncollected_imports() -> Iterator[None]:
    """Collect no garbage while modules are imported, and leave what they made alone afterwards, at the end too.

    To be called by programs, never by a library. Files are closed, and what ``atexit`` holds is called, as ever.
    """
    if not gc.isenabled() or "torch" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.freeze)
