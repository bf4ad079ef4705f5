"""A process that starts a command again where the process of the command dies: by a crash, or for want of memory."""

import atexit
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from captum_focalogic.cli.errors import say

MOST = 6
"""Deaths in a row without any progress after which it is given up."""


def survive(progress: Callable[[], Any], may_go_on: Callable[[], bool]) -> None:
    """Go on in a child of this process, and start another one where that dies.

    Returns in the child alone; this process leaves with the child's exit code. Nothing happens where there are no
    forks, and where torch is loaded already, whose threads do not survive them.

    Parameters
    ----------
    progress : callable
        Something that differs once there was progress.
    may_go_on : callable
        Whether another child is of use.
    """
    if not hasattr(os, "fork") or "torch" in sys.modules:
        return
    deaths, before = 0, progress()
    while True:
        sys.stdout.flush()
        sys.stderr.flush()
        reads, writes = os.pipe()
        child = os.fork()
        if not child:
            os.close(reads)
            _begin(writes)
            return
        os.close(writes)
        code = _waited(child)
        with os.fdopen(reads, "rb") as ended:
            if ended.read():
                os._exit(code)
        deaths = 1 if progress() != before else deaths + 1
        before = progress()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with {code}"
        if not may_go_on() or deaths >= MOST:
            say(f"the process died {how}; what was written is safe")
            os._exit(1)
        say(f"the process died {how}; another one goes on")


def _begin(writes: int) -> None:
    """Tell the parent when this process ends by itself, and end with the parent."""
    atexit.register(os.write, writes, b"ended")
    # A terminal's interrupt comes once, by way of the parent.
    os.setpgid(0, 0)
    parent = os.getppid()
    with suppress(OSError, AttributeError):  # elsewhere than on Linux
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _waited(child: int) -> int:
    """The child's exit code, or the negative number of the signal that ended it. Signals are the child's to answer."""

    def passed_on(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)
        if number != signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    old = {number: signal.signal(number, passed_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
