"""The C library's allocator, told to keep the memory of one batch for the next.

By default glibc asks the kernel for each large block and gives it back at once, and the kernel has to clear every page
again: of a search that runs the same model hundreds of times this took two fifths of the processor's time. Only a
process that is ours is set up so: memory that was used once stays with it.
"""

import ctypes
import os
import sys

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
