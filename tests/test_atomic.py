"""Files that are written: through links, with their mode, onto mounts and devices, and without remains."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fastnn.core import files
from fastnn.core.files import require_writable, write_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="links, modes and locks of POSIX")


@posix
def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "model", tmp_path / "link"
    link.symlink_to(Path("folder") / "model")
    second = tmp_path / "folder" / "second"
    second.symlink_to(Path("..") / "link")
    for number, path in enumerate((link, second, target)):  # at first there is nothing behind the link
        write_atomically(path, b"%d" % number)
        assert link.is_symlink() and second.is_symlink() and target.read_bytes() == b"%d" % number
    assert sorted(os.listdir(tmp_path / "folder")) == ["model", "second"]
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="loop"):
        write_atomically(loop, b"")


@posix
def test_the_mode_stays(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_atomically(path, b"new")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    for mode in (0o600, 0o664, 0o444):
        path.chmod(mode)
        before = path.stat()
        write_atomically(path, b"more")
        after = path.stat()
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
        assert after.st_ino != before.st_ino and path.read_bytes() == b"more"


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EROFS])
def test_mounts_are_written_in_place(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container has a file: it cannot be replaced, or its folder not be written."""
    path = tmp_path / "model"
    path.write_bytes(b"a longer content")
    inode = path.stat().st_ino

    def refused(*arguments: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refused)
    write_atomically(path, b"new", memoryview(b"er"))
    assert path.read_bytes() == b"newer" and path.stat().st_ino == inode
    with pytest.raises(OSError) as caught:  # what is not there cannot be written in place
        write_atomically(tmp_path / "other", b"new")
    assert caught.value.filename == str(tmp_path / "other")
    assert os.listdir(tmp_path) == ["model"]
    monkeypatch.setattr(files, "_temporary", refused)
    write_atomically(path, b"newest")
    require_writable(path)
    assert path.read_bytes() == b"newest"


@posix
def test_devices_and_pipes_stay_what_they_are(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, b"through")
    reader.join()
    assert read == [b"through"] and pipe.is_fifo()
    write_atomically(Path("/dev/null"), b"gone")
    assert Path("/dev/null").is_char_device()
    code = "from fastnn.core.files import *; write_atomically(path_of('', '', '/dev/stdout'), b'out')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"out"


@posix
def test_long_names_and_what_the_killed_leave(tmp_path: Path) -> None:
    for name in ("model", "n" * 255):
        _leave_nothing(tmp_path / name / name)


def _leave_nothing(path: Path) -> None:
    path.parent.mkdir()
    write_atomically(path, b"long")
    stale, other = files._temporary(path), files._temporary(path.with_name("model.more"))
    for left in (stale, other):
        left.write_bytes(b"half")
    temporary, written = files._opened(path)  # somebody writes the same file
    with written:
        write_atomically(path, b"longer")
        assert sorted(path.parent.iterdir()) == sorted((path, other, temporary)) and path.read_bytes() == b"longer"
    write_atomically(path, b"longest")
    assert sorted(path.parent.iterdir()) == sorted((path, other))


def test_many_writers(tmp_path: Path) -> None:
    """One file, several threads: nobody sweeps what another one writes."""
    path, contents = tmp_path / "model", [bytes([number]) * 5000 for number in range(4)]

    def write(content: bytes) -> None:
        for _ in range(25):
            write_atomically(path, content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents and os.listdir(tmp_path) == ["model"]
