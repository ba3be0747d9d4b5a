"""`fastnn bench` and `fastnn compare`, without waiting for times: what they compute from them, and what they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn.benchmarks import operations, processes
from fastnn.benchmarks.processes import Library, Neighbours, Session
from fastnn.core.operations import OPERATIONS
from support import load
from tables import run

MEASURED_LIMITS = operations.limits
PHASES = {"gather": 1e-6, "forward": 4e-6, "loss": 1e-6, "backward": 9e-6, "update": 4e-6, "wait": 1e-6}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Nothing is measured, and so nobody needs a compiler.
    monkeypatch.setattr(operations, "limits", lambda *given, **more: operations.Limits(1e11, {1024: 1e10}))


# operations


def test_bench_says_what_an_operation_does(capsys: pytest.CaptureFixture[str]) -> None:
    load("c")
    given = ["gemm_nn", "--shapes", "5x6x7", "--backend", "c,reference", "--seconds", "0.001"]
    code, out, _ = run(capsys, "bench", *given, "--json")
    c, reference = json.loads(out)["figures"]
    assert (code, c["backend"], reference["backend"], c["shape"], c["threads"]) == (0, "c", "reference", "5x6x7", 1)
    assert c["gflops"] == pytest.approx(2 * 5 * 6 * 7 / c["seconds"] / 1e9)
    assert c["share"] == pytest.approx(4 * (5 * 6 + 5 * 7 + 6 * 7) / 1e10 / c["seconds"])
    assert 0 < c["error"] < 4
    code, out, _ = run(capsys, "bench", *given, "--csv", "figures.csv")
    assert code == 0 and re.search(r"gemm_nn +5x6x7 +float32 +c +1 ", out)
    assert len(Path("figures.csv").read_text().splitlines()) == 3


def test_bench_ends_with_a_wrong_result(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def reference(name: str, dtype: str, shape: Any) -> list[Any]:
        right = actual(name, dtype, shape)
        return [array + (dtype != "wider") for array in right]

    actual = operations._reference
    monkeypatch.setattr(operations, "_reference", reference)
    code, out, err = run(capsys, "bench", "relu_forward", "--shapes", "2x3", "--backend", "reference")
    assert (code, out) == (1, "")
    assert "fastnn bench: wrong: relu_forward on reference, float32, 2x3: element" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["relu_forwrd"], "there is no operation 'relu_forwrd'; did you mean \"relu_forward\"?"),
        (["gemm_nn", "--shapes", "8x8"], "gemm_nn has the sizes m x n x k, such as 256x256x784; got '8x8'"),
        (["--backend", "cudda"], "there is no backend 'cudda'"),
    ],
)
def test_bench_refuses(capsys: pytest.CaptureFixture[str], options: list[str], said: str) -> None:
    code, _, err = run(capsys, "bench", *options)
    assert code == 2 and said in err


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", ["small", "odd"])
def test_every_operation_has_arguments_that_it_takes(shape: str, dtype: str) -> None:
    load("c")
    for operation in OPERATIONS.values():
        error = operations.verified(operation, "c", dtype, operations.given_shape(operation, shape))
        assert np.isfinite(error) and error < 100, operation.name


# comparisons


def canned(self: Any, child: str, library: Library, where: str, threads: int, job: Any, cold: bool = False) -> Any:
    """What a process measured: fastnn twice as fast as a peer, four times with two threads."""
    if library.library == "sklearn":
        self.missing[library.name] = "sklearn is not installed"
        return None
    if child == "limits":
        return {"peak": 1e11, "bandwidth": {str(size): 1e10 for size in job["sizes"]}, "version": "limits"}
    if child == "phases":
        assert sum(PHASES.values()) == pytest.approx(2e-5)
        return {"plain": 1.9e-5, "counted": 2.01e-5, "threads": threads, "phases": PHASES, "version": "fastnn"}
    if child == "surveys" and "networks" in job:
        return {"speeds": [1000.0 * n["batch"] for n in job["networks"]], "version": "fastnn"}
    if child == "surveys":
        roof = {"peak": 100.0, "cache": 200.0, "memory": 10.0}
        return {"operations": {name: [0.25, 3.0] for name in OPERATIONS}, "roof": roof, "version": "fastnn"}
    seconds = 1.0 / threads / (2.0 if library.own else 1.0) / (threads if library.own else 1)
    found = {"first": 3 * seconds + cold, "loss": 2.3, "epochs": [seconds, seconds], "bits": "b", "grown": 5e6}
    return found | {"predicted": 4e6 if library.own else 0, "runs": "avx2", "version": library.library}


def test_compare_tells_ratios_bits_start_memory_and_the_floor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "measure", canned)
    given = ["--model", "3-2-1", "--batch", "4", "--backends", "c,cuda", "--peers", "numpy,sklearn", "--threads", "1,2"]
    code, out, _ = run(capsys, "compare", *given, "--phases", "--json", "out.json")
    found = json.loads(Path("out.json").read_text())
    assert code == 0
    lines = {(line["name"], line["threads"]): line for line in found["libraries"]}
    assert lines["fastnn c", 1]["ratios"] == {"NumPy loop": [2.0, 2.0, 2.0]}
    assert lines["fastnn c", 2]["ratios"]["NumPy loop"][0] == 4.0
    assert lines["fastnn c", 1]["start_warm"] == 1.0 and lines["fastnn c", 1]["start_cold"] == 2.0
    assert lines["fastnn c", 1]["predicted"] == 4e6 and lines["NumPy loop", 1]["predicted"] is None
    # Of 3-2-1 with 11 parameters: the flops of a step at the peak, Adam's bytes at the bandwidth, in half a second.
    steps = found["network"]["rows"] // 4
    least = steps * (2 * 4 * (2 * 3 * 2 + 3 * 2 * 1) / 1e11 + 6 * 11 * 4 / 1e10)
    assert lines["fastnn c", 1]["floor_share"] == pytest.approx(least / 0.5)
    assert "With 2 threads fastnn c trains" in out and "4.00 times as fast as NumPy loop" in out
    assert "theta is equal to the last bit on c, reference, with 1 thread and 2 threads." in out
    assert "They run on: fastnn c: avx2; NumPy loop: avx2." in out
    assert "- scikit-learn: skipped: sklearn is not installed" in out and "- fastnn cuda: skipped: " in out
    assert re.search(r"fastnn c +1 +1 +5.0% +20.0% +5.0% +45.0% +20.0% +5.0% +99.5% +20.1 us +19 us", out)


def test_compare_leaves_the_cold_start_out(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(self: Any, child: str, *given: Any, cold: bool = False) -> Any:
        assert not cold
        return canned(self, child, *given)

    monkeypatch.setattr(Session, "measure", measure)
    given = ["--model", "3-2-1", "--backends", "c", "--peers", "numpy", "--threads", "1", "--no-cold", "--json", "-"]
    code, out, _ = run(capsys, "compare", *given)
    assert code == 0 and [line["start_cold"] for line in json.loads(out)["libraries"]] == [None, None]


def test_limits_that_an_operation_exceeds_are_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = iter([1e9, 8e9, 2e9, 3e9])
    slow = {str(size): 1e30 for size in operations.SWEPT}

    def measure(job: Any) -> Any:
        return {"peak": next(peaks), "bandwidth": slow}

    pytest.importorskip("numba")
    monkeypatch.setattr(operations, "limits", MEASURED_LIMITS)
    monkeypatch.setattr(operations, "_limits", {})
    monkeypatch.setattr("fastnn.benchmarks.limits.measure", measure)
    product, sizes = OPERATIONS["gemm_nn"], operations.given_shape(OPERATIONS["gemm_nn"], "10x10x10")

    def share(seconds: float) -> float | None:
        return operations.figures(product, "c", "float32", sizes, [seconds], 0.0).share

    assert share(4e-6) == pytest.approx(0.5)  # 2000 flops: half a Gflop in the first moment
    assert share(5e-7) == pytest.approx(0.5)  # 4 Gflops, of 8 in the second moment
    assert share(1e-7) == pytest.approx(2.5)  # more than any moment showed
    assert next(peaks, None) is None


def test_compare_says_where_bits_differ(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(self: Any, child: str, library: Library, *given: Any, **more: Any) -> Any:
        found = canned(self, child, library, *given, **more)
        return found | {"bits": library.backend}

    monkeypatch.setattr(Session, "measure", measure)
    given = ["--model", "3-2-1", "--backends", "c,reference", "--peers", "", "--threads", "1"]
    code, out, _ = run(capsys, "compare", *given)
    assert code == 1 and "THETA DIFFERS: c, 1 thread: c; reference, 1 thread: reference" in out


def test_the_page_stands_alone(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(Session, "measure", canned)
    given = ["--model", "3-2-1", "--backends", "c", "--peers", "numpy", "--threads", "1", "--html", "page.html"]
    assert run(capsys, "compare", *given)[0] == 0
    page = Path("page.html").read_text()
    addresses = re.findall(r'(?:href|src)="([^#][^"]*)"|url\(([^#)][^)]*)\)', page)
    assert not addresses and "<script" not in page and "@import" not in page
    assert page.count("<svg") == 6 and "2.00 times as fast as NumPy loop" in page
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)
    assert "currentColor" in page and "#010203" not in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--peers", "numpi"], "--peers: unknown numpi; known: jax, torch"),
        (["--target", "y"], "--target is for --table"),
        (["--model", "784"], "expected units from inputs to outputs such as 784-256-128-10, got '784'"),
        (["--table", "none.csv", "--target", "y"], "none.csv"),
        (["--table", __file__, "--target", "y", "--json", __file__], f"that is {__file__}, which is read"),
        (["--json", "a", "--html", "./a"], "--json a: --html names the same file"),
    ],
)
def test_compare_refuses(capsys: pytest.CaptureFixture[str], options: list[str], said: str) -> None:
    code, _, err = run(capsys, "compare", *options)
    assert code == 2 and said in err


def test_rows_of_a_table_are_whole_standardised_batches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []

    def measure(self: Any, child: str, library: Library, where: str, threads: int, job: Any, cold: bool = False) -> Any:
        if child == "training" and "data" in job:
            with np.load(job["data"]) as arrays:
                jobs.append((job, arrays["X"], arrays["y"]))
        return canned(self, child, library, where, threads, job, cold)

    monkeypatch.setattr(Session, "measure", measure)
    random = np.random.default_rng(0)
    np.savez("t.npz", X=random.normal(5, 3, (200, 3)), y=random.normal(7, 2, 200))
    given = ["--table", "t.npz", "--backends", "c", "--peers", "", "--threads", "1", "--batch", "16"]
    assert run(capsys, "compare", *given)[0] == 0
    job, X, y = jobs[0]
    assert job["loss"] == "mean_squared_error" and job["widths"] == [3, 128, 1]
    assert len(X) == len(y) == job["rows"] and len(X) % 16 == 0 and y.shape[1] == 1
    assert abs(X.mean()) < 0.1 and abs(X.std() - 1) < 0.1


@pytest.mark.slow
def test_processes_measure(capsys: pytest.CaptureFixture[str]) -> None:
    load("c")
    given = ["--model", "8-6-3", "--batch", "4", "--backends", "c", "--peers", "numpy,sklearn", "--threads", "1"]
    code, out, _ = run(capsys, "compare", *given, "--rounds", "1", "--seconds", "0.01", "--phases", "--json", "-")
    found = json.loads(out)
    assert (
        code == 0 and found["bits"]["equal"] and set(found["bits"]["digests"]) == {"c, 1 thread", "reference, 1 thread"}
    )
    losses = [line["loss"] for line in found["libraries"] if line["name"] != "scikit-learn"]
    assert len(losses) == 2 and max(losses) < 1.01 * min(losses)
    assert set(found["phases"][0]["phases"]) == set(PHASES)


def test_a_busy_machine_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = iter([(0.0, 0.0, 0.0), (10.0, 14.0, 9.0), (20.0, 10.0, 10.0)])
    monkeypatch.setattr(processes, "_clocks", lambda: next(clocks))
    busy = Neighbours()
    assert busy.told().startswith("NOT IDLE: others took 0.5 of ")
    assert busy.told() == ""
