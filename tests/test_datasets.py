"""The digits that ship inside the package; MNIST and Fashion-MNIST from files, and from a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn.datasets
from fastnn.datasets import fashion_mnist, images, load_digits, mnist
from fastnn.errors import FileError

Arrays = dict[str, np.ndarray[Any, Any]]

# digits


def test_shapes_dtypes_and_range() -> None:
    X, y = load_digits()
    assert X.shape == (1797, 64) and X.dtype == np.float32
    assert y.shape == (1797,) and y.dtype == np.int64
    assert X.min() == 0.0 and X.max() == 1.0
    assert np.array_equal(X * 16, np.rint(X * 16))


def test_is_the_published_data() -> None:
    # Class counts of the file's own description, the sum of all pixel counts, and the first digit, a zero.
    X, y = load_digits()
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (X * 16).sum(dtype=np.float64) == 561718.0
    assert y[:10].tolist() == list(range(10))
    assert (X[0, :8] * 16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_each_call_gives_arrays_of_its_own() -> None:
    first, _ = load_digits()
    first[:] = -1.0
    assert load_digits()[0].min() == 0.0


def test_source_and_licence_ship_beside_the_small_file() -> None:
    folder = Path(fastnn.datasets.__file__).parent
    assert (folder / "digits.npz").stat().st_size < 100_000
    text = (folder / "digits.LICENSE.txt").read_text()
    assert "CC BY 4.0" in text and "https://archive.ics.uci.edu/dataset/80/" in text


# where MNIST is looked for


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data, no home, no proxy, and no net: a test that fetches names its own server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    for module in (mnist, fashion_mnist):
        monkeypatch.setattr(module, "SOURCE", replace(module.SOURCE, mirrors=()))


def pictures(letter: str = "x", first: int = 0) -> Arrays:
    """Six images to train on and four to test on, 28 x 28; `first` is the first pixel."""
    pixels = np.arange(10 * 28 * 28, dtype=np.uint32).reshape(10, 28, 28) % 251
    pixels[0, 0, 0] = first
    x, y = pixels.astype(np.uint8), (np.arange(10) % 10).astype(np.uint8)
    return {f"{letter}_train": x[:6], "y_train": y[:6], f"{letter}_test": x[6:], "y_test": y[6:]}


def idx(array: np.ndarray[Any, Any]) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder: Path, arrays: Arrays, packed: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, array in zip(images.IDX, arrays.values(), strict=True):
        name = f"{stem}-ubyte{'.gz' if packed else ''}"
        (folder / name).write_bytes(gzip.compress(idx(array)) if packed else idx(array))


def assert_is(sets: images.Sets, arrays: Arrays) -> None:
    for got, expected in zip((*sets[0], *sets[1]), arrays.values(), strict=True):
        assert got.dtype == np.uint8 and np.array_equal(got, expected)
        got.flat[0] += 1  # arrays of its own, to write on


@pytest.mark.parametrize("letter", ["x", "X"])
def test_an_archive_by_its_path(letter: str, tmp_path: Path) -> None:
    np.savez("mnist.npz", **pictures(letter))  # type: ignore[arg-type]
    assert_is(mnist.load_data(), pictures())
    assert_is(mnist.load_data(tmp_path / "mnist.npz"), pictures())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_four_idx_files(dotted: bool, packed: bool, tmp_path: Path) -> None:
    write_idx(tmp_path / "raw", pictures(), packed)
    if dotted:  # train-images.idx3-ubyte, as some archives of MNIST have it
        for file in (tmp_path / "raw").iterdir():
            file.rename(file.with_name(file.name.replace("-idx", ".idx")))
    assert_is(mnist.load_data("raw"), pictures())


def test_the_order_of_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "data"))
    places = [tmp_path, tmp_path / "data", tmp_path / "cache/fastnn/datasets", tmp_path / "home/.keras/datasets"]
    for number, folder in reversed(list(enumerate(places))):
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "mnist.npz", **pictures(first=number))  # type: ignore[arg-type]
        assert mnist.load_data()[0][0][0, 0, 0] == number


@pytest.mark.parametrize("folder", ["", "mnist", "MNIST/raw"])
def test_idx_files_in_the_data_folder(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "data"))
    write_idx(tmp_path / "data" / folder, pictures())
    assert_is(mnist.load_data(), pictures())


def test_a_name_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "small.npz", **pictures())  # type: ignore[arg-type]
    assert_is(mnist.load_data("small.npz"), pictures())


@pytest.mark.parametrize("folder", ["fashion-mnist", "FashionMNIST/raw"])
def test_fashion_mnist(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    write_idx(tmp_path / folder, pictures(), packed=True)
    assert_is(fashion_mnist.load_data(), pictures())
    with pytest.raises(FileError, match=r"mnist: mnist\.npz is not here"):  # the digits have files of the same names
        mnist.load_data()


def test_import_paths() -> None:
    code = "import fastnn as keras; from fastnn.datasets import mnist; assert keras.datasets.mnist is mnist"
    subprocess.run([sys.executable, "-c", code], check=True)


# files that are not what they should be


def bad_npz(**changes: Any) -> Arrays:
    return {key: value for key, value in {**pictures(), **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (bad_npz(y_test=None), r"mnist\.npz: expected arrays x_train, y_train, x_test, y_test; found x_test, x_train"),
        (bad_npz(x_train=np.zeros((6, 28, 28))), r"images are float64 \(6, 28, 28\), expected uint8"),
        (bad_npz(x_train=np.zeros((6, 784), np.uint8)), r"images are uint8 \(6, 784\), expected uint8 \(n, rows"),
        (bad_npz(y_train=np.zeros(5, np.uint8)), r"labels are uint8 \(5,\), expected integers of shape \(6,\)"),
        (bad_npz(y_test=np.full(4, 10)), r"labels run from 10 to 10, expected 0 to 9"),
        (bad_npz(x_test=np.zeros((4, 8, 8), np.uint8)), r"test images of shape \(8, 8\), training ones \(28, 28\)"),
        (bad_npz(x_test=np.array([{}])), "cannot be read"),
    ],
)
def test_wrong_archives(arrays: Arrays, message: str) -> None:
    np.savez("mnist.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(FileError, match=message):
        mnist.load_data()


def test_damaged_archives() -> None:
    Path("mnist.npz").write_bytes(b"hello")
    with pytest.raises(FileError, match="not an"):
        mnist.load_data()
    np.savez("mnist.npz", **pictures())  # type: ignore[arg-type]
    content = bytearray(Path("mnist.npz").read_bytes())
    content[500:600] = bytes(100)
    Path("mnist.npz").write_bytes(content)
    with pytest.raises(FileError, match=r"mnist\.npz: cannot be read: Bad CRC-32"):
        mnist.load_data()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: b"", "starts with nothing, expected 00000803"),
        (lambda content: b"\x1f\x8b" + content[2:], "starts with 1f8b0803"),
        (lambda content: content[:7], "starts with 00000803, expected 00000803"),
        (lambda content: content[:-1], r"its header says 4,704 bytes \(6, 28, 28\), it holds 4,703"),
        (lambda content: content + b"x", "it holds more"),
        (lambda content: content[:4] + b"\xff" * 12 + content[16:], "its header says .* more than 2,147,483,648 bytes"),
    ],
)
def test_damaged_idx_files(change: Any, message: str, tmp_path: Path) -> None:
    write_idx(tmp_path / "raw", pictures())
    file = tmp_path / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(FileError, match=f"raw/{file.name}: .*{message}"):
        mnist.load_data("raw")


def test_a_damaged_gzip_file(tmp_path: Path) -> None:
    write_idx(tmp_path / "raw", pictures(), packed=True)
    file = tmp_path / "raw" / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(FileError, match=r"t10k-labels-idx1-ubyte\.gz: cannot be read: Compressed file ended"):
        mnist.load_data("raw")


# fetching


class Server(ThreadingHTTPServer):
    """Serves `files` by their paths; `cut` bytes are missing from each, as if the line broke."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut = 0
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) - self.server.cut])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def remote(name: str, content: bytes) -> images.Remote:
    return images.Remote(name, len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def archive(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> bytes:
    """A small MNIST, which the server has; the source's size and checksum are those of it."""
    np.savez(tmp_path / "served.npz", **pictures())  # type: ignore[arg-type]
    content = (tmp_path / "served.npz").read_bytes()
    server.files["/mnist.npz"] = content
    source = replace(mnist.SOURCE, files=(remote("mnist.npz", content),), mirrors=(server.address,))
    monkeypatch.setattr(mnist, "SOURCE", source)
    return content


def left_over(tmp_path: Path) -> list[Path]:
    return [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "served.npz"]


def test_fetched_once_into_the_cache(
    server: Server, archive: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_is(mnist.load_data(), pictures())
    assert left_over(tmp_path) == [tmp_path / "cache/fastnn/datasets/mnist.npz"]
    assert left_over(tmp_path)[0].read_bytes() == archive
    out, err = capsys.readouterr()
    assert out == "" and err == f"fastnn: fetching {server.address}mnist.npz (0.0 MB)\n"
    assert_is(mnist.load_data(), pictures())
    assert server.asked == ["/mnist.npz"]


@pytest.mark.usefixtures("archive")
def test_fetched_into_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "new" / "data"))
    assert_is(mnist.load_data("absent.npz"), pictures())
    assert left_over(tmp_path) == [tmp_path / "new/data/mnist.npz"]


def test_four_files_are_fetched_and_the_missing_ones_later(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contents = [gzip.compress(idx(array)) for array in pictures().values()]
    names = [file.name for file in fashion_mnist.SOURCE.files]
    assert names == [f"{stem}-ubyte.gz" for stem in images.IDX]
    source = replace(
        fashion_mnist.SOURCE, files=tuple(map(remote, names, contents)), mirrors=(f"{server.address}a/", server.address)
    )
    monkeypatch.setattr(fashion_mnist, "SOURCE", source)
    server.files = {f"/{name}": content for name, content in zip(names[:3], contents[:3], strict=True)}
    with pytest.raises(
        FileError, match=rf"{names[3]} is not here and cannot be fetched: .*Not Found; .*Not Found; put"
    ):
        fashion_mnist.load_data()
    server.files[f"/a/{names[3]}"] = contents[3]
    server.asked.clear()
    assert_is(fashion_mnist.load_data(), pictures())
    assert server.asked == [f"/a/{names[3]}"]
    assert {path.parent for path in left_over(tmp_path)} == {tmp_path / "cache/fastnn/datasets/fashion-mnist"}


def test_a_fetch_that_is_interrupted(server: Server, archive: bytes, tmp_path: Path) -> None:
    server.cut = 100
    expected = rf"mnist\.npz: ended after {len(archive) - 100:,} of {len(archive):,} bytes"
    with pytest.raises(FileError, match=f"cannot be fetched: {server.address}{expected}"):
        mnist.load_data()
    assert left_over(tmp_path) == []
    server.cut = 0
    assert_is(mnist.load_data(), pictures())


@pytest.mark.parametrize("wrong", [lambda content: content[:-1] + b"?", lambda content: content + b"?"])
def test_other_content(wrong: Any, server: Server, archive: bytes, tmp_path: Path) -> None:
    server.files["/mnist.npz"] = wrong(archive)
    digest = hashlib.sha256(archive).hexdigest()[:12]
    with pytest.raises(FileError, match=rf"has other content than the published file \(SHA-256 {digest}\.\.\.\)"):
        mnist.load_data()
    assert left_over(tmp_path) == []


def test_not_found(server: Server, archive: bytes, tmp_path: Path) -> None:
    server.files.clear()
    with pytest.raises(
        FileError, match=r"Not Found; put it into .*cache/fastnn/datasets by other means, or set FASTNN_DATA"
    ):
        mnist.load_data()
    assert left_over(tmp_path) == []


def test_another_mirror_has_it(server: Server, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["/bad/mnist.npz"] = bytes(len(archive))
    mirrors = (f"{server.address}bad/", server.address)
    monkeypatch.setattr(mnist, "SOURCE", replace(mnist.SOURCE, mirrors=mirrors))
    assert_is(mnist.load_data(), pictures())
    assert server.asked == ["/bad/mnist.npz", "/mnist.npz"]


@pytest.mark.usefixtures("archive")
def test_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        monkeypatch.setattr(mnist, "SOURCE", replace(mnist.SOURCE, mirrors=(address,)))
        with pytest.raises(FileError, match=rf"cannot be fetched: {address}mnist\.npz: .*refused"):
            mnist.load_data()
    assert left_over(tmp_path) == []


@pytest.mark.usefixtures("archive")
def test_ctrl_c_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hashlib.sha256", stop)
    with pytest.raises(KeyboardInterrupt):
        mnist.load_data()
    assert left_over(tmp_path) == []


def test_a_data_folder_that_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("some.npz", **pictures())  # type: ignore[arg-type]
    monkeypatch.setenv("FASTNN_DATA", "some.npz")
    assert_is(mnist.load_data(), pictures())
    with pytest.raises(FileError, match=r"no folder to keep it in; set FASTNN_DATA to a folder, not some\.npz"):
        fashion_mnist.load_data()


def test_what_is_fetched_is_published() -> None:
    """Names, sizes and checksums as they are published; a slip of the finger would refuse the real files."""
    files = {file.name: file for source in (mnist.SOURCE, fashion_mnist.SOURCE) for file in source.files}
    assert {name: file.size for name, file in files.items()} == {
        "mnist.npz": 11_490_434,
        "train-images-idx3-ubyte.gz": 26_421_880,
        "train-labels-idx1-ubyte.gz": 29_515,
        "t10k-images-idx3-ubyte.gz": 4_422_102,
        "t10k-labels-idx1-ubyte.gz": 5_148,
    }
    assert all(len(bytes.fromhex(file.sha256)) == 32 for file in files.values())
