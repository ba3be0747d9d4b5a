"""The command line, run inside this process; one test runs it in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.cli import data, main
from fastnn.errors import FastnnError

LAST_LINE = re.compile(r"test accuracy (\S+) · [\d,]+ samples/s · \w+, \d+ threads? · saved (\S+)")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def blobs(n: int = 90, columns: int = 4) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Three well separated classes, with columns of very different scale."""
    y = np.arange(n) % 3
    X = np.sin(1.7 * np.arange(n * columns).reshape(n, columns)) * 0.1 + y[:, None]
    return X * 10.0 ** np.arange(columns) + 5, y


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(argv)
    streams = capsys.readouterr()
    return code, streams.out, streams.err


# training


def test_digits_out_of_the_box(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "train", "digits", "--epochs", "20")
    assert code == 0
    assert all("compiling" in line for line in err.splitlines())
    match = LAST_LINE.fullmatch(out.splitlines()[-1])
    assert match and match[2] == "digits.safetensors"
    assert float(match[1]) > 0.93
    assert "digits: 1,438 rows to train on, 359 held out · 64 columns · 10 classes" in out
    model = fastnn.models.load_model("digits.safetensors")
    assert model.predict(fastnn.datasets.load_digits()[0][:3]).shape == (3, 10)


def test_same_seed_same_file(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("blobs.npz", X=blobs()[0], y=blobs()[1])
    for name in ("a", "b"):
        assert run(capsys, "train", "blobs.npz", "--epochs", "2", "--seed", "7", "--out", f"{name}.safetensors")[0] == 0
    a, b = (fastnn.models.load_model(f"{name}.safetensors").get_weights() for name in ("a", "b"))
    assert all(np.array_equal(one, other) for one, other in zip(a, b, strict=True))


def test_options_reach_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("blobs.npz", X=blobs()[0], y=blobs()[1])
    options = "--layers 5,4 --activation tanh --epochs 3 --batch 7 --optimizer rmsprop --lr 0.02 --backend reference"
    code, out, _ = run(capsys, "train", "blobs.npz", *options.split(), "--out", "m.safetensors")
    assert code == 0 and "· reference, " in out and "saved m.safetensors" in out
    model = fastnn.models.load_model("m.safetensors")
    assert [w.shape for w in model.get_weights()] == [(4, 5), (5,), (5, 4), (4,), (4, 3), (3,)]
    assert model.layers[0].get_config()["activation"] == "tanh"


def test_regression(capsys: pytest.CaptureFixture[str]) -> None:
    X, _ = blobs(120)
    y = ((X - X.mean(axis=0)) / X.std(axis=0)).sum(axis=1)
    np.savez("line.npz", X=X, y=y)
    code, out, _ = run(capsys, "train", "line.npz", "--layers", "0", "--epochs", "60", "--lr", "0.05")
    assert code == 0 and "regression on 1 target" in out
    match = re.match(r"test r2 (\S+) · mae (\S+) · ", out.splitlines()[-1])
    assert match and float(match[1]) > 0.99


# reading


def test_a_fifth_is_held_out_by_seed() -> None:
    X, y = blobs(100)
    np.savez("t.npz", X=X, y=y)
    one, again, other = data.load("t.npz", 1), data.load("t.npz", 1), data.load("t.npz", 2)
    assert (len(one.X), len(one.X_test)) == (80, 20)
    assert np.array_equal(one.X_test, again.X_test) and not np.array_equal(one.y_test, other.y_test)


def test_columns_are_standardised_with_the_training_rows() -> None:
    X, y = blobs(100)
    X[:, 2] = 3.0
    np.savez("t.npz", X=X, y=y)
    table = data.load("t.npz", 0)
    assert table.X.dtype == np.float32
    np.testing.assert_allclose(table.X.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(table.X.std(axis=0), [1, 1, 0, 1], atol=1e-5)
    assert np.array_equal(table.X_test[:, 2], np.zeros(20))


@pytest.mark.parametrize("letter", ["x", "X"])
def test_mnist_archive(letter: str) -> None:
    images = np.arange(12 * 6, dtype=np.uint8).reshape(12, 2, 3) * 3
    labels = np.arange(12, dtype=np.uint8) % 4
    arrays = {
        f"{letter}_train": images[:10],
        "y_train": labels[:10],
        f"{letter}_test": images[10:],
        "y_test": labels[10:],
    }
    np.savez("mnist.npz", **arrays)  # type: ignore[arg-type]
    table = data.load("mnist.npz", 0)
    assert (table.X.shape, table.X_test.shape, table.classes) == ((10, 6), (2, 6), 4)
    assert np.array_equal(table.X, images[:10].reshape(10, 6) / np.float32(255))
    np.savez("mnist.npz", **{key: arrays[key] for key in list(arrays)[:2]})  # type: ignore[arg-type]
    assert (len(data.load("mnist.npz", 0).X), len(data.load("mnist.npz", 0).X_test)) == (8, 2)


X4, Y4 = np.zeros((4, 2)), np.array([0, 1, 0, 1])
WRONG_FILES: list[tuple[dict[str, Any], str]] = [
    ({"X": X4}, "expected arrays X and y, or x_train and y_train; found X"),
    ({"X": X4, "y": Y4[:3]}, "X has 4 rows and y has 3"),
    ({"X": X4[:, 0], "y": Y4}, "X is float64 of shape (4,)"),
    ({"X": X4.astype(str), "y": Y4}, "expected numbers"),
    ({"X": X4[:0], "y": Y4[:0]}, "expected at least 2 rows"),
    ({"X": X4, "y": Y4 + 1}, "class numbers in y run from 1 to 2, expected from 0; subtract 1"),
    ({"X": X4, "y": Y4 - 1}, "class numbers in y run from -1 to 0, expected from 0"),
    ({"X": X4, "y": Y4 * 12345}, "integers up to 12,345"),
    ({"X": X4, "y": np.stack([Y4, Y4], 1)}, "expected one class number a row"),
    ({"X": np.where(np.arange(8).reshape(4, 2) == 5, np.nan, 0), "y": Y4}, "X holds nan in row 2, column 1"),
    ({"X": X4, "y": np.array([0, 1, np.nan, 1])}, "y holds nan in row 2; remove or fill"),
    ({"X": X4, "y": np.array([0, 1, 1e39, 1])}, "y holds 1e+39 in row 2; scale it down"),
    ({"X": np.array([[0.0], [0], [0], [1e308]]) * [[1, 1]], "y": Y4}, "values in column 0 of X are too large"),
    ({"x_train": X4, "y_train": Y4, "x_test": X4 + np.inf, "y_test": Y4}, "x_test holds inf in row 0, column 0"),
    ({"X": np.array([[{}], [{}]]), "y": Y4[:2]}, "cannot be read"),
]


@pytest.mark.parametrize(("arrays", "message"), WRONG_FILES, ids=[m for _, m in WRONG_FILES])
def test_wrong_files_are_named(arrays: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("t.npz", **arrays)
    code, out, err = run(capsys, "train", "t.npz")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and err.startswith("fastnn train: t") and message in err


def test_files_that_are_no_archives(capsys: pytest.CaptureFixture[str]) -> None:
    Path("text.npz").write_text("hello")
    np.savez("cut.npz", X=X4, y=Y4)
    Path("cut.npz").write_bytes(Path("cut.npz").read_bytes()[:-40])
    np.save("array.npy", X4)
    for name, message in (
        ("absent.npz", "no such file"),
        ("text.npz", "not an .npz file"),
        ("cut.npz", "not an .npz file"),
        ("array.npy", "not an .npz file"),
        (".", "no such file"),
    ):
        code, _, err = run(capsys, "train", name)
        assert code == 2 and err.count("\n") == 1 and message in err


def test_read_errors_are_the_packages_own() -> None:
    with pytest.raises(FastnnError, match="no such file"):
        data.load("absent.npz", 0)


# options


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "required: COMMAND"),
        (("tain",), "invalid choice: 'tain'"),
        (("train",), "required: DATA"),
        (("train", "digits", "--epoch", "x"), "--epochs"),
        (("train", "digits", "--layers", "64,x"), "expected positive whole numbers such as 256,128, got '64,x'"),
        (("train", "digits", "--layers", ""), "expected positive whole numbers"),
        (("train", "digits", "--epochs", "0"), "expected a whole number of at least 1, got '0'"),
        (("train", "digits", "--batch", "-3"), "expected a whole number of at least 1"),
        (("train", "digits", "--lr", "nan"), "expected a positive number, got 'nan'"),
        (("train", "digits", "--seed", "-1"), "expected a whole number from 0"),
        (("train", "digits", "--activation", "rlu"), "relu"),
        (("train", "digits", "--optimizer", "adm"), "did you mean"),
        (("train", "digits", "--backend", "fortran"), "fortran"),
        (("train", "digits", "--out", "no/such/folder.safetensors"), "a folder that exists"),
        (("train", "digits", "--out", "."), "a folder that exists"),
    ],
)
def test_wrong_options_are_one_line(argv: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and err.startswith("fastnn") and message in err
    assert not list(Path().glob("*.safetensors"))


@pytest.mark.parametrize("argv", [("--help",), ("train", "--help"), ("info", "--help")])
def test_help(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 0
    assert "fastnn" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"fastnn {fastnn.__version__}\n"


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fastnn.Sequential, "fit", interrupted)
    code, _, err = run(capsys, "train", "digits")
    assert (code, err) == (130, "fastnn: stopped by Ctrl-C\n")


# what goes wrong


def test_a_training_that_diverges_saves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("line.npz", X=blobs()[0], y=blobs()[0].sum(axis=1))
    options = ("--optimizer", "sgd", "--lr", "1e30", "--epochs", "50", "--backend", "reference")
    code, out, err = run(capsys, "train", "line.npz", *options)
    assert code == 1 and err.count("\n") == 1
    assert re.match(r"fastnn train: the training diverged: the loss is (nan|inf) after epoch \d;.* --lr", err)
    assert "saved" not in out and not list(Path().glob("*.safetensors"))


def test_out_is_tried_before_the_training(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastnn.Sequential, "fit", lambda *arguments, **options: pytest.fail("trained"))
    for length in (240, 250):  # too long with what a temporary file adds to it, and by itself
        name = f"{'n' * length}.safetensors"
        code, out, err = run(capsys, "train", "digits", "--out", name)
        assert (code, out) == (2, "")
        assert err == f"fastnn train: --out {name}: cannot be written: File name too long\n"


def test_out_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "train", "digits", "--activation", "rlu")[0] == 2
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OSError(28, "No space left on device", "a.npz"), 2, "fastnn train: a.npz: No space left on device\n"),
        (OSError("odd\nfailure"), 2, "fastnn train: odd failure\n"),
        (MemoryError("Unable to allocate 8 EiB"), 2, "fastnn train: not enough memory: Unable to allocate 8 EiB\n"),
        (MemoryError(), 2, "fastnn train: not enough memory: use smaller data or layers\n"),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
    ],
)
def test_errors_of_the_system_are_one_line(
    error: Exception, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(fastnn.Sequential, "save", fail)
    got, _, err = run(capsys, "train", "digits", "--epochs", "1", "--layers", "0", "--backend", "reference")
    assert (got, err) == (code, message)


def test_a_file_that_cannot_be_opened(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(file: Any, *arguments: Any) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    np.savez("t.npz", X=X4, y=Y4)
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(FastnnError, match=r"t.npz: cannot be read: Permission denied"):
        data.load("t.npz", 0)


def test_arrays_larger_than_the_memory(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("t.npz", X=X4, y=Y4)
    with zipfile.ZipFile("t.npz", "w") as file:
        for name in ("X.npy", "y.npy"):
            with file.open(name, "w") as member:
                header = {"descr": "<f8", "fortran_order": False, "shape": (2**50, 3)}
                np.lib.format.write_array_header_1_0(member, header)
    code, _, err = run(capsys, "train", "t.npz")
    assert code == 2 and err.count("\n") == 1
    assert err.startswith("fastnn train: t.npz: not enough memory: ")


@pytest.mark.skipif(os.name != "posix", reason="pipes break otherwise elsewhere")
def test_a_reader_that_goes_away() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    code = "import sys; from fastnn.cli import main; sys.exit(main(['info']))"
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_threads_that_ran(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numba")
    monkeypatch.setenv("FASTNN_NUM_THREADS", "4096")
    code, out, _ = run(capsys, "train", "digits", "--epochs", "1", "--layers", "0", "--backend", "numba")
    threads = fastnn.config.available_cores()
    assert code == 0 and f" · numba, {threads} thread{'s' if threads > 1 else ''} · " in out


# info


def test_info_names_every_backend_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "info")
    assert code == 0
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["fastnn"].startswith(fastnn.__version__)
    assert re.match(r"\d+", lines["threads"])
    for name, reason in fastnn.backends.available().items():
        assert re.search(
            rf"^backend {name} +{'not available: ' + re.escape(reason) if reason else 'available'}$", out, re.M
        )


def test_script_runs_in_a_process_of_its_own() -> None:
    code = "import sys; from fastnn.cli import main; sys.exit(main(['train', 'absent.npz']))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == 'fastnn train: absent.npz: no such file; DATA is "digits" or the path of an .npz file\n'
