"""Answers of paid models kept in an SQLite file, so that an interrupted run resumes for free."""

import json
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from captum_focalogic.errors import InputError
from captum_focalogic.files import make_folder


@dataclass(frozen=True)
class Answer:
    """What a model said.

    Attributes
    ----------
    text : str or None
        Its words; None if there were none.
    refusal : str or None
        Why it would not answer.
    prompt_tokens, completion_tokens : int or None
        What it took; None where the endpoint does not say.
    """

    text: str | None
    refusal: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class AnswerCache:
    """A file of answers by request.

    Requests are stored as hashes only: neither images nor keys nor addresses can be read from the file. Several
    processes may use it at once.

    Parameters
    ----------
    path : str or Path
        Made, with its folder, when it is first used.

    Raises
    ------
    InputError
        When used: if the file is something else or cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def get(self, key: str) -> Answer | None:
        """The answer to a request, if it is known."""
        row = self._run("SELECT answer FROM answers WHERE request = ?", (key,))
        return Answer(**json.loads(row[0])) if row else None

    def put(self, key: str, answer: Answer) -> None:
        """Keep an answer."""
        self._run("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, json.dumps(asdict(answer))))

    def __len__(self) -> int:
        row = self._run("SELECT COUNT(*) FROM answers", ())
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Close the file; it opens again when needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _run(self, statement: str, values: tuple[Any, ...]) -> Any:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                with self._connection:
                    return self._connection.execute(statement, values).fetchone()
            except (sqlite3.Error, OSError) as error:
                raise InputError(f"the answers cannot be kept in {self.path}: {error}; give another file") from error

    def _open(self) -> sqlite3.Connection:
        make_folder(self.path.parent)
        connection = sqlite3.connect(self.path, timeout=30, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS answers (request TEXT PRIMARY KEY, answer TEXT NOT NULL)")
        return connection

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]
