"""A process of a study's own, which is started again where an image kills it."""

import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import torch

from captum_focalogic.errors import DeadProcessError, FocaLogicWarning, InputError, MissingExtraError, warn
from captum_focalogic.study.engines import Local, pack_error
from captum_focalogic.study.explainer import OnEnded, OnJudged
from captum_focalogic.study.rows import Row, error_text
from captum_focalogic.study.settings import Group, StudySettings


class UnsentError(InputError):
    """What a study consists of cannot be taken to another process."""


@dataclass(frozen=True)
class Subprocess:
    """A process of its own, with a copy of the model: the caller's lives on where an image kills it.

    Model, items, segmenter and truth are taken there by cloudpickle: also lambdas, and what a script or notebook
    defines. What they change there, such as a list that a function appends to, does not change here.

    Attributes
    ----------
    loaders, ahead
        As those of :class:`~captum_focalogic.study.Local`.
    """

    loaders: int = 2
    ahead: int = 2

    def __post_init__(self) -> None:
        Local(self.loaders, self.ahead)

    def run(
        self,
        settings: StudySettings,
        groups: Sequence[Group],
        on_judged: OnJudged,
        begin: Callable[[Group], object] = lambda _: None,
        on_ended: OnEnded = lambda _: None,
    ) -> Iterator[list[Row]]:
        """See :meth:`Engine.run`; ``begin`` is told of each group before anything of it is read, the last of images.

        Raises
        ------
        UnsentError
            If settings or items cannot be taken to another process.
        DeadProcessError
            If the process died.
        """
        work = _packed(Local(self.loaders, self.ahead), settings, groups)
        # A terminal's interrupt is for this process alone, which then ends the other one.
        places = list(map(str, sys.path))
        command = [sys.executable, "-c", f"import sys; sys.path[:] = {places}; from {__name__} import main; main()"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield from _rows(process.stdin, process.stdout, work, groups, on_judged, begin, on_ended)
            except EOFError:
                code = process.wait()
                how = f"by {signal.Signals(-code).name}" if code < 0 else f"with {code}"
                raise DeadProcessError(f"the process that explained images died {how}") from None
            finally:
                process.kill()


def _packed(engine: Local, settings: StudySettings, groups: Sequence[Group]) -> bytes:
    try:
        import cloudpickle
    except ImportError as error:
        raise MissingExtraError("cloudpickle", "study") from error
    try:
        packed: bytes = cloudpickle.dumps((engine, settings, groups))
    except Exception as error:  # of whatever kind the objects of the user's raise
        raise UnsentError(_unsent(error)) from error
    return packed


def _unsent(error: Exception) -> str:
    return (
        f"the model, or what belongs to the study, cannot be taken to another process ({error_text(error)}); use the "
        "engine Local(), which does without"
    )


def _rows(
    asks: IO[bytes],
    answers: IO[bytes],
    work: bytes,
    groups: Sequence[Group],
    on_judged: OnJudged,
    begin: Callable[[Group], object],
    on_ended: OnEnded,
) -> Iterator[list[Row]]:
    """What the other process says, acted upon; EOFError where it says nothing any more."""
    try:
        _send(asks, pickle.dumps(torch.get_num_threads()))
        _send(asks, work)
    except BrokenPipeError:
        raise EOFError from None
    begun = iter(groups)
    while True:
        kind, said = pickle.loads(_received(answers))
        if kind == "begin":
            begin(next(begun))
        elif kind == "judged":
            on_judged(said)
        elif kind == "ended":
            on_ended(said)
        elif kind == "warned":
            warn(said)
        elif kind == "rows":
            yield said
        elif kind == "unsent":
            raise UnsentError(said)
        elif kind == "error":
            raise pickle.loads(said)
        else:
            return


def _send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(struct.pack("<Q", len(message)) + message)
    pipe.flush()


def _received(pipe: IO[bytes]) -> bytes:
    head = pipe.read(8)
    message = pipe.read(struct.unpack("<Q", head)[0]) if len(head) == 8 else b""
    if not message:
        raise EOFError
    return message


def main() -> None:
    """What the other process does: the groups that it is sent, until it is done or nobody listens."""
    # What models print must not come between the rows.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    asks = os.fdopen(os.dup(0), "rb")

    turn = threading.Lock()

    def say(kind: str, what: Any = None) -> None:
        with turn:
            _send(answers, pickle.dumps((kind, what)))

    shown = warnings.showwarning

    def tell(message: Warning | str, category: type[Warning], *where: Any, **how: Any) -> None:
        if category is FocaLogicWarning:
            say("warned", str(message))
        else:
            shown(message, category, *where, **how)

    warnings.showwarning = tell

    torch.set_num_threads(pickle.loads(_received(asks)))
    work = _received(asks)
    threading.Thread(target=_end_with, args=(asks.fileno(),), daemon=True).start()
    try:
        engine, settings, groups = pickle.loads(work)
    except Exception as error:  # of whatever kind the objects of the user's raise
        say("unsent", _unsent(error))
        return
    try:
        for rows in engine.run(
            settings,
            groups,
            lambda count: say("judged", count),
            lambda _: say("begin"),
            lambda name: say("ended", name),
        ):
            say("rows", rows)
    except Exception as error:
        import cloudpickle

        say("error", pack_error(error, cloudpickle))
        return
    say("end")


def _end_with(asks: int) -> None:
    """Leave as soon as the process that asked is gone, and its end of the pipe with it."""
    while os.read(asks, 1):
        pass
    os._exit(1)
