"""Tests of captum_focalogic.files."""

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from captum_focalogic.errors import FileError, FocaLogicError, InputError
from captum_focalogic.files import make_folder, read_array, read_bytes, read_text, replacing, write_bytes, write_text


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "text.txt"
    assert write_text(path, "½ ∨ ä\n") == path
    assert read_text(str(path)) == "½ ∨ ä\n"
    write_bytes(str(path), b"\xef\xbb\xbfwith a mark")
    assert read_text(path) == "with a mark"
    assert read_bytes(path)[:3] == b"\xef\xbb\xbf"
    write_bytes(path, b"", durable=True)
    assert read_text(path) == ""
    assert os.listdir(tmp_path) == ["text.txt"], "nothing else is left"


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = write_text(tmp_path / "page.html", "old")

    def fail(failure):
        with replacing(path) as unfinished:
            unfinished.write_text("half")
            assert (unfinished.suffix, unfinished.parent) == (".html", tmp_path)
            assert path.read_text() == "old"
            raise failure

    for failure in (ValueError, KeyboardInterrupt):
        with pytest.raises(failure):
            fail(failure)
        assert path.read_text() == "old"
        assert os.listdir(tmp_path) == ["page.html"]


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    path = write_text(tmp_path / "page.html", "old")

    def full(self, data):
        with open(self, "wb") as file:
            file.write(data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match=r"page\.html cannot be written: No space left on device"):
        write_text(path, "new content")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["page.html"]


def test_errors_give_the_path(tmp_path):
    missing = tmp_path / "none" / "file.txt"
    for call in (lambda: read_text(missing), lambda: read_bytes(missing)):
        with pytest.raises(FileError, match=r"file\.txt cannot be read: No such file") as raised:
            call()
        assert isinstance(raised.value, FocaLogicError)
        assert isinstance(raised.value, InputError)
        assert isinstance(raised.value, OSError)
    with pytest.raises(FileError, match=r"file\.txt cannot be written: No such file"):
        write_text(missing, "text")
    with pytest.raises(FileError, match="cannot be written: Is a directory"):
        write_text(tmp_path, "text")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(FileError, match=r"latin is no text in UTF-8 \(byte 3\)"):
        read_text(tmp_path / "latin")
    with pytest.raises(FileError, match=r"the folder .*latin.* cannot be made"):
        make_folder(tmp_path / "latin" / "inside")


def test_folders(tmp_path):
    assert make_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert make_folder(str(tmp_path / "a" / "b")).is_dir()


@pytest.mark.skipif(os.name != "posix", reason="of POSIX")
def test_links_devices_and_permissions_stay(tmp_path):
    path = write_text(tmp_path / "file.txt", "old")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o640)
    (tmp_path / "link").symlink_to(path)
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    write_text("/dev/null", "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_arrays_announce_no_more_than_their_file_holds(tmp_path):
    path = tmp_path / "labels.npy"
    np.save(path, np.arange(6).reshape(2, 3))
    assert np.array_equal(read_array(path), [[0, 1, 2], [3, 4, 5]])
    octets = path.read_bytes()
    path.write_bytes(octets.replace(b"(2, 3)", b"(200000, 300000)").ljust(len(octets) + 9))
    with pytest.raises(FileError, match=r"labels\.npy cannot be read: it is no NumPy array"):
        read_array(path)
    for content in (b"", b"text", octets[:-1], b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(FileError, match=r"labels\.npy cannot be read"):
            read_array(path)
    np.savez(tmp_path / "several.npz", a=np.zeros(2))
    np.save(tmp_path / "objects.npy", np.array([None]), allow_pickle=True)
    for name in ("several.npz", "objects.npy"):
        with pytest.raises(FileError, match="it is no NumPy array"):
            read_array(tmp_path / name)
