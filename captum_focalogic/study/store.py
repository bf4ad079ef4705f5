"""The folder of a run: settings, finished rows, and a lock.

Rows are kept in Parquet files ("shards") that appear whole or not at all: each is written under another name, brought
to the disk and then renamed. A run that was killed leaves only whole shards, and the next one goes on with what is
missing in them. Errors are not final: an image that had one may be tried again, and its row with the most tries counts.
The lock is the operating system's and ends with the process that holds it. A journal names the images under way, so
that one in whose explanation the process dies, by a crash or for want of memory, is known when the study goes on.
"""

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captum_focalogic.errors import InputError, MissingExtraError, StudyError
from captum_focalogic.files import MALFORMED, encode_text, read_json, write_bytes
from captum_focalogic.fingerprint import checksum
from captum_focalogic.study.rows import Row, arrow, as_table, schema

if TYPE_CHECKING:
    import pyarrow as pa

SETTINGS = "settings.json"
_LOCK = "lock"
_SHARD = "rows-{:08d}{}.parquet"
_SHARDS = "rows-*.parquet"
_UNFINISHED = ".*.unfinished.*"
JOURNAL = "under-way.json"


HOPELESS = 4
"""Deaths after which an image is given up: two in its group, one alone, and the first, when nothing was known."""


class Store:
    """Rows of one run; made by :func:`open_store`, which holds the lock.

    Parameters
    ----------
    folder : Path
        The run's folder.
    shard_rows : int
        Write as soon as so many rows wait.
    shard_seconds : float
        Write when the last shard is so old, however few rows wait.
    retry : bool
        Whether rows with an error are not done.

    Attributes
    ----------
    done : set of int
        Images that have their row.
    deaths : mapping of int to int
        Images under way when earlier processes died, and how many did.
    """

    def __init__(self, folder: Path, shard_rows: int, shard_seconds: float, retry: bool = True) -> None:
        self.folder = folder
        kept = _latest(folder, ["index", "error", "tries"]).to_pylist()
        self.done: set[int] = {row["index"] for row in kept if row["error"] is None or not retry}
        self._tries: dict[int, int] = {row["index"]: row["tries"] or 1 for row in kept}
        self._shard_rows = shard_rows
        self._shard_seconds = shard_seconds
        self._waiting: list[Row] = []
        self._written = time.monotonic()
        self.deaths, self._under_way = _read_journal(folder), set[int]()

    def begin(self, group: Iterable[tuple[int, Any]]) -> None:
        """Images, each with its place, are under way: the journal says so until they have their rows."""
        self._under_way |= {index for index, _ in group}
        self._note()

    def settled(self) -> None:
        """Whatever is under way has come to an end, and be it by an error."""
        self._under_way.clear()
        self._note()

    def died(self) -> bool:
        """The process died that worked for this one: count it; whether any image was under way."""
        deaths = _counted(self.deaths, self._under_way)
        self.deaths, counted = deaths, deaths != self.deaths
        self._under_way.clear()
        self._note()
        return counted

    def _note(self) -> None:
        path = self.folder / JOURNAL
        try:
            if not self._under_way and not self.deaths:
                path.unlink(missing_ok=True)
                return
            noted = {"deaths": sorted(self.deaths.items()), "under_way": sorted(self._under_way)}
            write_bytes(path, json.dumps(noted).encode())
        except OSError as error:
            raise self._unwritable(error) from error

    def add(self, rows: Iterable[Row]) -> None:
        """Take finished rows; those that are there already are passed over."""
        rows = list(rows)
        new = [{**row, "tries": self._tries.get(row["index"], 0) + 1} for row in rows if row["index"] not in self.done]
        self.done.update(row["index"] for row in new)
        self._waiting.extend(new)
        finished = {row["index"] for row in rows}
        # Should an image that was given up be tried again, then alone.
        known = {index: HOPELESS - 1 for index in finished if self.deaths.get(index, 0) >= HOPELESS}
        self.deaths = {index: count for index, count in self.deaths.items() if index not in finished} | known
        if self._under_way:
            self._under_way -= finished
            self._note()
        if len(self._waiting) >= self._shard_rows or time.monotonic() - self._written >= self._shard_seconds:
            self.flush()

    def contents(self) -> list[tuple[int, str | None]]:
        """Of every image that is done, its place and the hash of its files when its row was made."""
        rows = _latest(self.folder, ["index", "content", "tries"]).to_pylist()
        return [(row["index"], row["content"]) for row in rows if row["index"] in self.done]

    def answers(self) -> Iterator[list[float]]:
        """What the model answered to its probes when the rows were made that are done."""
        rows = _latest(self.folder, ["index", "probes", "tries"]).to_pylist()
        return (row["probes"] for row in rows if row["index"] in self.done and row["probes"])

    def forget(self, indices: set[int]) -> None:
        """Have rows made again: the last try counts."""
        self.done -= indices

    def flush(self) -> None:
        """Bring everything that waits to the disk.

        Raises
        ------
        StudyError
            If it cannot be written; what was written before is safe.
        """
        if self._waiting:
            octets = _parquet(as_table(sorted(self._waiting, key=lambda row: int(row["index"]))))
            try:
                write_bytes(self._free(min(row["index"] for row in self._waiting)), octets, durable=True)
            except OSError as error:
                raise self._unwritable(error) from error
            self._waiting = []
        self._written = time.monotonic()

    def _unwritable(self, error: OSError) -> StudyError:
        return StudyError(
            f"the rows cannot be written to {self.folder}: {error.strerror or error}. Everything up to the last shard "
            "is safe; make room and start the study again with the same command to go on"
        )

    def _free(self, index: int) -> Path:
        """Where a shard can be written; one that begins with an image tried again must not replace its first."""
        names = (_SHARD.format(index, f"-{number}" if number else "") for number in itertools.count())
        return next(path for path in (self.folder / name for name in names) if not path.exists())


@contextmanager
def open_store(
    folder: str | Path,
    settings: Mapping[str, Any],
    *,
    shard_rows: int = 256,
    shard_seconds: float = 10.0,
    retry: bool = True,
) -> Iterator[Store]:
    """Begin or continue a run.

    Parameters
    ----------
    folder : str or Path
        Made where it does not exist.
    settings : mapping
        Everything that rows depend on, as JSON values.
    shard_rows, shard_seconds
        How often rows are written; see :class:`Store`.
    retry : bool
        Whether images whose rows hold an error are to be done again.

    Raises
    ------
    StudyError
        If another process writes there, the folder holds a run with other settings, or it cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _locked(folder)
    except OSError as error:
        raise StudyError(f"the folder {folder} cannot be written: {error.strerror or error}") from error
    try:
        for leftover in folder.glob(_UNFINISHED):
            leftover.unlink()
        _agree(folder, settings)
        store = Store(folder, shard_rows, shard_seconds, retry)
        try:
            yield store
        finally:
            try:
                store.flush()
            finally:
                store.settled()
    finally:
        lock.release()


def _read_journal(folder: Path) -> dict[int, int]:
    """How often the process died while each image was under way, of those where it did."""
    path = folder / JOURNAL
    if not path.exists():
        return {}
    try:
        noted = read_json(path)
        deaths = {int(index): int(count) for index, count in noted["deaths"]}
        return _counted(deaths, map(int, noted["under_way"]))
    except (InputError, *MALFORMED):
        # It helps to find what kills a process, and no row depends on it.
        return {}


def _counted(deaths: Mapping[int, int], under_way: Iterable[int]) -> dict[int, int]:
    """One more death of each image that was under way."""
    return {**deaths, **{index: min(deaths.get(index, 0) + 1, HOPELESS) for index in under_way}}


def read_rows(run: str | Path) -> "pa.Table":
    """The rows of a run, finished or not, in the order of its images.

    Parameters
    ----------
    run : str or Path
        The folder.

    Returns
    -------
    pyarrow.Table
        One row an image; see :data:`~captum_focalogic.study.rows.COLUMNS`.

    Raises
    ------
    StudyError
        If there is no run, or its files are damaged.
    """
    arrow()
    folder = Path(run)
    if not (folder / SETTINGS).is_file():
        raise StudyError(f"there is no study in {folder}; expected a folder that focalogic study wrote")
    return _latest(folder)


def read_settings(run: str | Path) -> dict[str, Any]:
    """The settings of a run.

    Raises
    ------
    StudyError
        If there is none, or its file is damaged.
    """
    path = Path(run) / SETTINGS
    try:
        settings = read_json(path)
    except InputError as error:
        if not path.exists():
            raise StudyError(f"there is no study in {run}; expected a folder that focalogic study wrote") from error
        raise StudyError(str(error)) from error
    sums = settings.pop("checksums", None) if isinstance(settings, dict) else None
    if not isinstance(settings, dict) or not isinstance(sums, dict):
        raise StudyError(f"{path} does not hold the settings of a study, with their checksums")
    names = sorted(settings.keys() | sums.keys())
    wrong = [name for name in names if name not in settings or checksum(settings[name]) != sums.get(name)]
    if wrong:
        raise StudyError(
            f"{path}: {', '.join(wrong)}: not as it was written, the checksum differs; bring the file back, or begin "
            "in another folder"
        )
    return settings


def _agree(folder: Path, settings: Mapping[str, Any]) -> None:
    """Note the settings where there is no row yet, or hold them against those of the rows that are there."""
    wanted = json.loads(json.dumps(settings))
    rows = bool(_shards(folder))
    if not (folder / SETTINGS).exists():
        if rows:
            raise StudyError(f"{folder} holds Parquet files but no {SETTINGS}; choose another folder")
        _note(folder, wanted)
        return
    there = read_settings(folder)
    apart = sorted(name for name in {*there, *wanted} if there.get(name) != wanted.get(name))
    if apart and rows:
        told = "; ".join(f"{name} was {there.get(name)!r} and is now {wanted.get(name)!r}" for name in apart)
        raise StudyError(f"{folder} holds a study with other settings ({told}); choose another folder, or empty it")
    if apart:
        # Of a study that was stopped before its first row there is nothing to keep.
        _note(folder, wanted)


def _note(folder: Path, settings: Mapping[str, Any]) -> None:
    sealed = {**settings, "checksums": {name: checksum(value) for name, value in settings.items()}}
    text = json.dumps(sealed, indent=1, ensure_ascii=False) + "\n"
    try:
        write_bytes(folder / SETTINGS, encode_text(text), durable=True)
    except OSError as error:
        raise StudyError(f"the folder {folder} cannot be written: {error.strerror or error}") from error


def _locked(folder: Path) -> Any:
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise MissingExtraError("filelock", "study") from error
    lock = FileLock(folder / _LOCK, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise StudyError(
            f"another process is writing to {folder}; wait until it has ended, or choose another folder"
        ) from error
    return lock


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob(_SHARDS))


def _latest(folder: Path, columns: list[str] | None = None) -> "pa.Table":
    """The last try at each image, in the order of the images."""
    pa = arrow()
    empty = schema().empty_table()
    shards = [_read_shard(path, columns) for path in _shards(folder)]
    rows = pa.concat_tables([empty.select(columns) if columns else empty, *shards])
    rows = rows.sort_by([("index", "ascending"), ("tries", "ascending")])
    index, tries = (rows.column(name).to_numpy() for name in ("index", "tries"))
    again = index[1:] == index[:-1]
    if (again & (tries[1:] == tries[:-1])).any():
        raise StudyError(f"{folder} holds some images twice; were Parquet files copied into it?")
    return rows.filter(pa.array([*~again, True][: len(rows)], pa.bool_()))


def _read_shard(path: Path, columns: list[str] | None = None) -> "pa.Table":
    pa = arrow()
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read(columns=columns)
        return table if columns else table.cast(schema())
    except (*MALFORMED, pa.ArrowException) as error:
        raise StudyError(
            f"{path} is damaged or no part of this study ({error}); remove it and start the study again"
        ) from error


def _parquet(table: "pa.Table") -> bytes:
    pa = arrow()
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue())
