"""The command line, run inside this process; one test runs it in a process of its own."""

from __future__ import annotations

import io
import json
import math
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
from fastnn.backends import crew
from fastnn.cli import data, main, options
from fastnn.errors import FastnnError
from tables import blobs, run

LAST_LINES = re.compile(
    r"test accuracy (\S+) · always guessing (\S+) gives (\S+)\ntrain accuracy (\S+)\n"
    r"true .*recall\n(?:.*\n)*precision.*\n"
    r"saved (\S+) · [\d,]+ samples/s · \w+, \d+ threads?\n$"
)

pytestmark = pytest.mark.usefixtures("in_folder")


# training


def test_digits_out_of_the_box(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "train", "digits", "--epochs", "20")
    assert code == 0
    assert all("compiling" in line for line in err.splitlines())
    match = LAST_LINES.search(out)
    assert match and match[5] == "digits.safetensors"
    assert float(match[4]) >= float(match[1]) > 0.93 and 0.1 < float(match[3]) < 0.15
    assert out.startswith(
        'digits: 64 columns; target "class": 10 classes\n1,438 rows to train on, 359 held out to test\n'
    )
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
    options = "--layers 5,4 --activation tanh --epochs 3 --batch 7 --optimizer rmsprop --lr 0.02 --dropout 0.25"
    options += " --seed 3 --backend reference"
    code, out, _ = run(capsys, "train", "blobs.npz", *options.split(), "--out", "m.safetensors")
    assert code == 0 and "· reference, 1 thread\n" in out and "saved m.safetensors" in out
    model = fastnn.models.load_model("m.safetensors")
    assert [w.shape for w in model.get_weights()] == [(4,), (4,), (4, 5), (5,), (5, 4), (4,), (4, 3), (3,)]
    kinds = ["Normalization", "Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert [type(layer).__name__ for layer in model.layers] == kinds
    assert model.layers[1].get_config()["activation"] == "tanh"
    assert model.layers[2].get_config()["rate"] == 0.25 and model.seed == 3


def test_regression(capsys: pytest.CaptureFixture[str]) -> None:
    X, _ = blobs(120)
    y = 1e6 + 1e4 * ((X - X.mean(axis=0)) / X.std(axis=0)).sum(axis=1)
    np.savez("line.npz", X=X, y=y)
    for optimizer in ("adam", "sgd"):  # learnt standardised: its unit is nothing to them
        options = ("--layers", "0", "--epochs", "60", "--lr", "0.05", "--optimizer", optimizer)
        code, out, _ = run(capsys, "train", "line.npz", *options)
        assert code == 0 and 'line: 4 columns; target "y": a quantity\n' in out
        match = re.search(r"\ntest r2 (\S+) · mae (\S+) · always guessing the mean gives mae (\S+)\ntrain r2", out)
        assert match and float(match[1]) > 0.99
    model = fastnn.models.load_model("line.safetensors")
    assert np.abs(model.predict(X)[:, 0] - y).mean() < 1000
    loss, r2, mae = model.evaluate(X, y, verbose=0)
    assert r2 > 0.99 and mae < 1000 and loss > 100


def test_the_counts_of_a_regression_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("line.npz", X=blobs(40)[0], y=blobs(40)[0].sum(axis=1))
    assert run(capsys, "train", "line.npz", "--epochs", "3", "--seed", "5", "--batch", "16")[0] == 0
    model = fastnn.models.load_model("line.safetensors")
    assert model.engine().state.counters.tolist() == [6, 3, 5]
    model.fit(blobs(40)[0], blobs(40)[0].sum(axis=1), epochs=4, initial_epoch=3, verbose=0)


def test_patience_stops_and_goes_back(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = blobs(200)
    labels = np.where(np.arange(200) % 5 == 0, (y + 1) % 3, y)  # a fifth is wrong: soon learnt by heart
    np.savez("noisy.npz", X=X, y=labels)
    options = ("--epochs", "500", "--patience", "3", "--lr", "0.05", "--json")
    code, out, _ = run(capsys, "train", "noisy.npz", *options)
    result = json.loads(out)
    assert code == 0 and 3 < result["epochs"] < 500
    assert result["rows"] == {"train": 144, "test": 40, "validation": 16}


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "train", "digits", "--epochs", "2", "--seed", "4", "--json", "--backend", "reference")
    result = json.loads(out)
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert result["data"] == "digits" and result["file"] == "digits.safetensors"
    assert result["rows"] == {"train": 1438, "test": 359, "validation": 0} and result["classes"] == list(range(10))
    assert (result["epochs"], result["seed"], result["parameters"]) == (2, 4, 9610)
    assert (result["backend"], result["threads"], result["notes"]) == ("reference", 1, [])
    assert set(result["test"]) == {"loss", "accuracy"} and result["samples_per_second"] > 0
    model = fastnn.models.load_model("digits.safetensors")
    assert model.metadata["data"]["target"] == "class"


def test_advice_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "train", "digits", "--epochs", "1", "--activation", "linear", "--backend", "reference")
    assert code == 0 and re.fullmatch(r"fastnn train: [^\n]*activation[^\n]*\n", err)


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
        (("train", "digits", "--dropout", "1"), "expected a number from 0 to below 1, got '1'"),
        (("train", "digits", "--patience", "-1"), "expected a whole number of at least 0"),
        (("train", "digits", "--impute", "median"), "invalid choice: 'median'"),
        (("train", "digits", "--task", "rank"), "invalid choice: 'rank'"),
        (("train", "digits", "--target", "y"), "--target is for files"),
        (("train", "digits", "--drop", "y"), "--drop is for .csv files"),
        (("predict", "digits.safetensors"), "required: DATA"),
        (("--vresion",), 'fastnn: there is no option --vresion; did you mean "--version"?; see `fastnn --help`'),
        (
            ("train", "digits", "--epohcs", "3"),
            'fastnn train: there is no option --epohcs; did you mean "--epochs"?; see `fastnn train --help`',
        ),
        (
            ("train", "--epohcs=3"),
            'fastnn train: there is no option --epohcs; did you mean "--epochs"?; see `fastnn train',
        ),
        (("info", "--xyz"), "fastnn info: there is no option --xyz; known: --help, --json; see `fastnn info --help`"),
        (("predict", "m", "d", "-e", "3"), "fastnn predict: unrecognized arguments: -e 3; see `fastnn predict --help`"),
        (("info", "digits.safetensors"), "digits.safetensors: there is no such file"),
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


@pytest.mark.parametrize("argv", [(), ("train",), ("predict",), ("evaluate",), ("plot",), ("info",), ("warmup",)])
def test_help(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        main((*argv, "--help"))
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert f"usage: fastnn {' '.join(argv)}" in out and "pip install fastnn" not in out
    if argv not in ((), ("warmup",)):
        assert "--json" in out
    assert max(map(len, out.splitlines())) <= 80


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
    for length in (250, 300):
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

    np.savez("t.npz", X=blobs()[0], y=blobs()[1])
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(FastnnError, match=r"t.npz: cannot be read: Permission denied"):
        data.load("t.npz", 0)


def test_arrays_larger_than_the_memory(capsys: pytest.CaptureFixture[str]) -> None:
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


class _Full(io.StringIO):
    """A stream onto a full disk, or into a pipe that nobody reads."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("stream", "code", "end"),
    [
        (_Full(OSError(28, "No space left on device")), 2, "fastnn train: stdout: No space left on device\n"),
        (_Full(BrokenPipeError(32, "Broken pipe")), 141, ""),
        (None, 2, "fastnn train: stdout: closed\n"),
    ],
)
def test_a_training_whose_lines_are_lost_is_saved(
    stream: Any, code: int, end: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez("blobs.npz", X=blobs()[0], y=blobs()[1])
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        got = main(("train", "blobs.npz", "--epochs", "2", "--layers", "0", "--backend", "reference"))
    assert (got, capsys.readouterr().err) == (code, end)
    assert fastnn.models.load_model("blobs.safetensors").engine().state.counters[1] == 2


def test_help_into_a_full_disk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["--help"], ["train", "--help"], ["--version"], ["info"]):
        monkeypatch.setattr(sys, "stdout", _Full(OSError(28, "No space left on device")))
        assert main(argv) == 2
        assert "stdout: No space left on device\n" in capsys.readouterr().err


def test_json_that_cannot_be_encoded_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    options.print_json({"größe": math.nan})
    stream.seek(0)
    assert stream.read() == '{"gr\\u00f6\\u00dfe": null}\n'


def test_the_threads_that_ran(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numba")
    monkeypatch.setenv("FASTNN_NUM_THREADS", "4096")
    monkeypatch.setattr(crew, "CROWDED", 0.0)  # whatever else this machine does
    code, out, _ = run(capsys, "train", "digits", "--epochs", "1", "--layers", "0", "--backend", "numba")
    assert code == 0 and out.endswith(" · numba, 1 thread\n")  # so small a network repays no more
    wide = ("--epochs", "1", "--layers", "1024", "--batch", "256", "--backend", "numba", "--json")
    threads = min(fastnn.config.available_cores(), 8)
    assert min(json.loads(run(capsys, "train", "digits", *wide)[1])["threads"], 8) == threads


# info


def test_info_names_every_backend_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "info")
    assert code == 0
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["fastnn"].startswith(fastnn.__version__)
    assert re.match(r"\d+", lines["threads"])
    for name, reason in fastnn.backends.available().items():
        assert re.search(rf"^(backends)? +{name}: {re.escape(reason) if reason else 'available'}", out, re.M)


def test_script_runs_in_a_process_of_its_own() -> None:
    code = "import sys; from fastnn.cli import main; sys.exit(main(['train', 'absent.npz']))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "fastnn train: absent.npz: no such file; DATA is digits, mnist, fashion_mnist or the path of a .csv or .npz "
        "file\n"
    )
