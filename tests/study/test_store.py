"""The folder of a run: whole shards, one writer, one configuration, and sentences where it cannot be written."""

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
pq = pytest.importorskip("pyarrow.parquet")

from makers import kill_process, start_python  # noqa: E402

from captum_focalogic.errors import StudyError  # noqa: E402
from captum_focalogic.files import write_bytes  # noqa: E402
from captum_focalogic.study.rows import COLUMNS, as_table, same_rows  # noqa: E402
from captum_focalogic.study.store import HOPELESS, JOURNAL, Store, open_store, read_rows, read_settings  # noqa: E402

SETTINGS = {"model": "m", "images": 10}


def row(index: int, **more: Any) -> dict[str, Any]:
    return {"index": index, "id": f"i{index}", "label": 1, **more}


def ids(run: Path) -> list[str]:
    return list(read_rows(run).column("id").to_pylist())


def test_rows_come_back_in_the_order_of_the_images(tmp_path: Path) -> None:
    with open_store(tmp_path, SETTINGS, shard_rows=2) as store:
        for index in (4, 0, 3, 1, 2):
            store.add([row(index)])
    assert ids(tmp_path) == ["i0", "i1", "i2", "i3", "i4"]
    assert len(list(tmp_path.glob("*.parquet"))) == 3


def test_rows_are_kept_bit_for_bit(tmp_path: Path) -> None:
    kept = row(
        7,
        final_states=[2**64 - 1, 0],
        areas=[0.1, 1 / 3],
        irreducible_precision=float("nan"),
        smallest_recall=-0.0,
        correct=None,
        formula="I1 & I_m3",
    )
    with open_store(tmp_path, SETTINGS) as store:
        store.add([kept])
    read = read_rows(tmp_path)
    assert read.column_names == list(COLUMNS)
    assert same_rows(read, as_table([kept]))
    assert not same_rows(read, as_table([{**kept, "smallest_recall": 0.0}]))
    assert not same_rows(read, as_table([{**kept, "irreducible_precision": None}]))
    assert same_rows(read, as_table([{**kept, "load_seconds": 3.0}]))


def test_a_row_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    for _ in range(2):
        with open_store(tmp_path, SETTINGS, shard_rows=1) as store:
            store.add([row(0), row(1)])
            store.add([row(1), row(2)])
    assert ids(tmp_path) == ["i0", "i1", "i2"]


def test_what_waits_is_written_when_the_run_is_broken_off(tmp_path: Path) -> None:
    def broken_off() -> None:
        with open_store(tmp_path, SETTINGS, shard_rows=100) as store:
            store.add([row(0)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert ids(tmp_path) == ["i0"]


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    with open_store(tmp_path, {**SETTINGS, "model": "without a row"}):
        pass
    with open_store(tmp_path, SETTINGS) as store:
        store.add([row(0)])
    with (
        pytest.raises(StudyError, match=r"model was 'm' and is now 'other'.*another folder"),
        open_store(tmp_path, {**SETTINGS, "model": "other"}),
    ):
        pass
    assert read_settings(tmp_path) == SETTINGS
    with open_store(tmp_path, dict(reversed(SETTINGS.items()))):
        pass


def test_two_writers_at_once_are_refused_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time; from captum_focalogic.study.store import open_store\n"
        f"with open_store(sys.argv[1], {SETTINGS!r}): print('open', flush=True); time.sleep(600)"
    )
    first = start_python(code, str(tmp_path))
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "open\n"
        with pytest.raises(StudyError, match="another process is writing"), open_store(tmp_path, SETTINGS):
            pass
    finally:
        kill_process(first)
    with open_store(tmp_path, SETTINGS) as store:
        store.add([row(0)])
    with (
        open_store(tmp_path, SETTINGS),
        pytest.raises(StudyError, match="another process"),
        open_store(tmp_path, SETTINGS),
    ):
        pass


def test_unfinished_files_are_swept_away_and_never_read(tmp_path: Path) -> None:
    with open_store(tmp_path, SETTINGS) as store:
        store.add([row(0)])
    torn = tmp_path / ".rows-00000001.0a1b.unfinished.parquet"
    torn.write_bytes(b"PAR1 half of a")
    assert ids(tmp_path) == ["i0"]
    with open_store(tmp_path, SETTINGS):
        assert not torn.exists()


def test_damaged_shards_are_named(tmp_path: Path) -> None:
    with open_store(tmp_path, SETTINGS) as store:
        store.add([row(0)])
    (shard,) = tmp_path.glob("rows-*.parquet")
    shard.write_bytes(shard.read_bytes()[:-5])
    for read in (lambda: read_rows(tmp_path), lambda: open_store(tmp_path, SETTINGS).__enter__()):
        with pytest.raises(StudyError, match=f"{shard.name} is damaged.*remove it"):
            read()
    shard.unlink()
    with open_store(tmp_path, SETTINGS) as store:
        assert store.done == set()


def test_copied_shards_are_noticed(tmp_path: Path) -> None:
    with open_store(tmp_path, SETTINGS) as store:
        store.add([row(0)])
    (shard,) = tmp_path.glob("rows-*.parquet")
    (tmp_path / "rows-copy.parquet").write_bytes(shard.read_bytes())
    with pytest.raises(StudyError, match="some images twice"):
        read_rows(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', ""])
def test_damaged_settings_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(StudyError, match=r"settings\.json"), open_store(tmp_path, SETTINGS):
        pass


def test_folders_that_hold_no_study(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no study"):
        read_rows(tmp_path / "nowhere")
    pq.write_table(as_table([row(0)]), tmp_path / "rows-00000000.parquet")
    with pytest.raises(StudyError, match=r"Parquet files but no settings\.json"), open_store(tmp_path, SETTINGS):
        pass
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StudyError, match="cannot be written"), open_store(file, SETTINGS):
        pass


def test_a_failed_write_leaves_neither_a_torn_file_nor_a_changed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept"
    write_bytes(path, b"old", durable=True)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes(path, b"new", durable=True)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


def _mounted(folder: Path, *options: str) -> None:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs root, to mount a tmpfs")
    folder = tmp_path / "disk"
    try:
        _mounted(folder, "-o", "size=256k")
    except FileNotFoundError:
        pytest.skip("needs the mount command")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_costs_only_what_waits(small_disk: Path) -> None:
    run = small_disk / "run"
    noise = [json.dumps(list(os.urandom(3000))) for _ in range(40)]

    def fill() -> None:
        with open_store(run, SETTINGS, shard_rows=2) as store:
            for index in range(400):
                store.add([row(index, formula=noise[index % 40] + str(index))])

    with pytest.raises(StudyError, match=r"No space left on device.*up to the last shard is safe"):
        fill()
    whole = ids(run)
    assert 0 < len(whole) < 400
    assert whole == [f"i{index}" for index in range(len(whole))]
    assert not list(run.glob(".*.unfinished*"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    with open_store(run, SETTINGS) as store:
        assert store.done == set(range(len(whole)))
        store.add([row(index) for index in range(400)])
    assert len(ids(run)) == 400


def test_a_read_only_folder_is_refused_before_any_work(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StudyError, match="cannot be written: Read-only"), open_store(small_disk / "run", SETTINGS):
        pass
    with pytest.raises(StudyError, match="cannot be written: Read-only"), open_store(small_disk, SETTINGS):
        pass


def test_a_folder_that_the_user_may_not_write_is_refused(tmp_path: Path) -> None:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(StudyError, match="cannot be written"), open_store(tmp_path / "run", SETTINGS):
        pass


def test_errors_are_tried_again_and_the_last_try_counts(tmp_path: Path) -> None:
    torn = {"error": "OSError: torn"}
    with open_store(tmp_path, SETTINGS, shard_rows=9) as store:
        store.add([row(0, **torn), row(1), row(2, **torn)])
    with open_store(tmp_path, SETTINGS, retry=False) as store:
        assert store.done == {0, 1, 2}
    with open_store(tmp_path, SETTINGS) as store:
        assert store.done == {1}
        # A whole group comes back; what begins with the same image must not replace the first file.
        store.add([row(0), row(1), row(2, **torn)])
    rows = read_rows(tmp_path).to_pylist()
    assert [(each["index"], each["error"], each["tries"]) for each in rows] == [
        (0, None, 2), (1, None, 1), (2, "OSError: torn", 2),
    ]  # fmt: skip
    with open_store(tmp_path, SETTINGS) as store:
        assert store.done == {0, 1}
        store.add([row(2)])
    assert [each["tries"] for each in read_rows(tmp_path).to_pylist()] == [2, 1, 3]


def test_a_flipped_bit_of_a_stored_page_is_no_row(tmp_path: Path) -> None:
    with open_store(tmp_path, {"images": 1}) as store:
        store.add([{"index": 0, "id": "a" * 40, "formula": "I1 & I2"}])
    (shard,) = tmp_path.glob("rows-*.parquet")
    whole = shard.read_bytes()
    pages = int.from_bytes(whole[-8:-4], "little") + 8  # what follows the pages: the footer, with its length and mark
    for place in range(4, len(whole) - pages, 97):
        shard.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            rows = read_rows(tmp_path).to_pylist()
        except StudyError:
            continue
        assert rows[0]["id"] == "a" * 40
        assert rows[0]["formula"] == "I1 & I2"


class TestJournal:
    """Which images were under way when a process died."""

    @staticmethod
    def died(folder: Path, under_way: list[int]) -> None:
        """A process dies while images are under way."""
        store = Store(folder, 256, 10.0)
        store.begin([(index, None) for index in under_way])  # and never gets to anything else

    def test_names_what_was_under_way(self, tmp_path: Path) -> None:
        assert Store(tmp_path, 256, 10.0).deaths == {}
        self.died(tmp_path, [3, 4])
        assert Store(tmp_path, 256, 10.0).deaths == {3: 1, 4: 1}
        self.died(tmp_path, [4])
        assert Store(tmp_path, 256, 10.0).deaths == {3: 1, 4: 2}

    def test_forgets_what_has_its_row(self, tmp_path: Path) -> None:
        self.died(tmp_path, [3, 4])
        with open_store(tmp_path, SETTINGS) as store:
            store.begin([(3, None), (4, None)])
            store.add({"index": index, "id": str(index)} for index in (3, 4))
            assert store.deaths == {}
        assert not (tmp_path / JOURNAL).exists()

    def test_knows_no_deaths_after_an_orderly_end(self, tmp_path: Path) -> None:
        with open_store(tmp_path, SETTINGS) as store:
            store.begin([(3, None)])
            assert (tmp_path / JOURNAL).exists()
        assert Store(tmp_path, 256, 10.0).deaths == {}

    def test_gives_up_and_tries_again_alone(self, tmp_path: Path) -> None:
        for _ in range(HOPELESS + 2):
            self.died(tmp_path, [3])
        with open_store(tmp_path, SETTINGS) as store:
            assert store.deaths == {3: HOPELESS}
            store.add([{"index": 3, "id": "3", "error": "DeadProcessError"}])
        with open_store(tmp_path, SETTINGS) as store:
            assert store.deaths == {3: HOPELESS - 1}
            assert 3 not in store.done

    @pytest.mark.parametrize(
        "text", ["", "[]", '{"deaths": 3}', '{"deaths": [[1]], "under_way": []}', '{"deaths": []}']
    )
    def test_that_is_damaged_costs_nothing(self, tmp_path: Path, text: str) -> None:
        (tmp_path / JOURNAL).write_text(text)
        assert Store(tmp_path, 256, 10.0).deaths == {}
