"""The scripts of this folder, without measuring: `pytest benches/test_benches.py`, quicker with `-n 2`.

What they compute from times, what they do with libraries that are missing or fail, and that each runs to its tables.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gemm
import results
from fastnn.benchmarks import figures, networks, processes
from fastnn.benchmarks.figures import Spread
from fastnn.benchmarks.processes import Library, Session

HERE = Path(__file__).parent
THREADS = ["--threads", "1,2"]
TINY = {
    "peers": [*THREADS, "--networks", "1", "--peers", "numpy"],
    "graphs": [*THREADS, "--graphs", "4", "--peers", ""],
    "variants": [*THREADS, "--networks", "1"],
    "gemm": [*THREADS, "--peers", "numpy", "--shapes", "8x16x8,16x16x16/32"],
    "small_calls": [*THREADS, "--peers", ""],
    "inference": [*THREADS, "--networks", "1", "--peers", "numpy"],
    "estimators": [*THREADS, "--cases", "1", "--dtypes", "float32", "--backends", "c"],
    "startup": [*THREADS, "--networks", "1", "--parts", "import,train,memory", "--backends", "reference"],
    "gradient_cost": [],
}
SCRIPTS = tuple(TINY)


def run(script: str, *options: str) -> str:
    command = [sys.executable, str(HERE / f"{script}.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_are_to_the_best_rival_by_best_and_by_median() -> None:
    assert figures.ratio(Spread(1.0, 4.0), [Spread(3.0, 6.0), None, Spread(2.0, 8.0)]) == "2.00 (1.50)"
    assert figures.ratio(None, [Spread(3.0, 6.0)]) == "-"
    assert figures.ratio(Spread(1.0, 4.0), [None]) == "-"


def test_threads_that_lose_are_marked() -> None:
    assert figures.threads_gain(Spread(1.0, 2.0), Spread(1.0, 1.0)) == "2.00"
    assert figures.threads_gain(Spread(1.0, 0.98), Spread(1.0, 1.0)) == "0.98"
    assert figures.threads_gain(Spread(1.0, 0.96), Spread(1.0, 1.0)) == "0.96 (slower)"
    assert figures.threads_gain(None, Spread(1.0, 1.0)) == "-"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "0.123"), (1.0, "1"), (999.6, "1,000"), (9994, "9,990"), (9996, "10k"), (1234567, "1,230k")],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert figures.digits(value) == text


def test_times_of_all_rounds_are_pooled() -> None:
    assert figures.pooled([{"times": [3.0, 1.0]}, {"times": [2.0]}], "times") == Spread(1.0, 2.0)
    assert figures.pooled([], "times") is None


def test_floor_is_flops_at_the_peak_and_bytes_at_the_bandwidth() -> None:
    network = networks.Network("3-2-1", [3, 2, 1], 5, 10)
    assert network.parameters == 3 * 2 + 2 + 2 * 1 + 1
    # Forward and dW of both layers, dX of the second alone; a multiplication and an addition each.
    assert network.step_flops == 2 * 5 * (2 * 3 * 2 + 3 * 2 * 1)
    limits = [{"peak": 90.0, "bandwidth": {"11": 4.0}}, {"peak": 60.0, "bandwidth": {"11": 8.0}}]
    assert figures.floor(network, 2, limits) == pytest.approx(2 * (180 / 90 + 6 * 11 * 4 / 8))
    assert figures.floor(network, 0, limits) == pytest.approx(2 * (180 / 90 + 2 * 11 * 4 / 8))
    assert figures.floor(network, 2, []) is None


def test_shapes_of_products() -> None:
    assert gemm.shape("128x256x784") == gemm.Shape(128, 256, 784)
    assert gemm.shape("8x16x8/64") == gemm.Shape(8, 16, 8, 64)
    for text in ("8x16", "8x16x0", "axbxc", "8x16x8/15", "8x16x8/x"):
        with pytest.raises(argparse.ArgumentTypeError, match=re.escape(text)):
            gemm.shape(text)


def test_means_and_least_of_ratios() -> None:
    assert gemm.mean_and_least([(1.0, 2.0), (4.0, 0.5)]) == ("2.00 (1.00)", "1.00 (0.50)")
    assert gemm.mean_and_least([]) == ("-", "-")


def fake(tmp_path: Path, text: str) -> tuple[str, Library]:
    """A child of this text, and a library that it is for."""
    child = tmp_path / "child.py"
    child.write_text(text)
    return str(child), Library("Fake", "fake", "", sys.executable)


def test_a_library_that_is_missing_is_skipped_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "open('started', 'a').write('.')\ndef measure(job):\n    import nowhere_to_be_found\n"
    child, library = fake(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    session = Session()
    assert session.measure(child, library, "a", 1, {}) is None
    assert session.measure(child, library, "b", 1, {}) is None
    assert (tmp_path / "started").read_text() == "."
    assert "- Fake: skipped: nowhere_to_be_found is not installed" in session.footer("none")


def test_a_library_that_fails_says_where_and_why(tmp_path: Path) -> None:
    text = "def measure(job):\n    assert job['right'], 'no luck'\n    print('a line of its own')\n"
    child, library = fake(tmp_path, text + "    return {'version': 'fake 1'}\n")
    session = Session()
    assert session.measure(child, library, "a", 1, {"right": False}) is None
    assert session.measure(child, library, "b", 1, {"right": True}) == {"version": "fake 1"}
    footer = session.footer("the command")
    assert "- Fake, a: failed: AssertionError: no luck" in footer
    assert "fake 1" in footer and "Command: the command" in footer


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_processes_get_as_many_cores_as_threads(tmp_path: Path) -> None:
    text = "import os\nNAMES = ('OMP_NUM_THREADS', 'FASTNN_NUM_THREADS')\ndef measure(job):\n"
    text += "    found = {name: os.environ[name] for name in NAMES}\n"
    child, library = fake(
        tmp_path, text + "    return found | {'cores': len(os.sched_getaffinity(0)), 'version': ''}\n"
    )
    before = os.sched_getaffinity(0)
    found = Session().measure(child, library, "a", 1, {})
    assert found == {"OMP_NUM_THREADS": "1", "FASTNN_NUM_THREADS": "1", "cores": 1, "version": ""}
    assert os.sched_getaffinity(0) == before


def test_openblas_chooses_its_kernels_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in processes.OPENBLAS:
        monkeypatch.setenv(name, "of another machine")
    assert not set(processes.OPENBLAS) & set(processes.environment(1))
    assert processes.environment(1, processes.AVX2)["OPENBLAS_CORETYPE"] == "Haswell"


def test_rounds_visit_every_library_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    visits: list[tuple[str, str, int]] = []

    def measure(self: Any, child: str, library: Library, where: str, threads: int, job: Any) -> dict[str, Any]:
        visits.append((job["name"], library.name, threads))
        return {"times": [1.0]}

    monkeypatch.setattr(Session, "measure", measure)
    columns = [Library(name, name, "", "") for name in ("A", "B")]
    jobs = {name: {"name": name} for name in ("x", "y")}
    runs = processes.rounds(Session(), 2, [1, 2], "", columns, jobs)
    once = [(job, library, threads) for job in ("x", "y") for threads in (1, 2) for library in ("A", "B")]
    assert visits == once * 2
    assert runs == {visit: [{"times": [1.0]}] * 2 for visit in once}


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_run_to_whole_tables(script: str, tmp_path: Path) -> None:
    kept = tmp_path / "found.json"
    out = run(script, "--tiny", "--json", str(kept), *TINY[script])
    assert "failed" not in out and "skipped: fastnn" not in out, out
    tables = [part.splitlines() for part in out.split("\n\n") if part.startswith("|")]
    assert tables
    for head, _, *rows in tables:
        assert rows
        assert {len(cells(row)) for row in rows} == {len(cells(head))}
    assert f"Command: python benches/{script}.py --tiny" in out
    found = json.loads(kept.read_text())
    # What RESULTS.md has of it: the same tables, and on what they ran.
    page = results.printed(found)
    assert all("\n".join(table) in page for table in tables) and len(found["tables"]) == len(tables)
    assert all(part in page for part in (found["machine"], found["date"], found["command"], *found["versions"]))
    assert script == "startup" or found["kernels"]
    if script == "peers":  # the same work
        table = out.split("First use with 1 thread")[1]
        row = next(line for line in table.splitlines() if line.startswith("| 64-32-10"))
        losses = [float(loss) for loss in re.findall(r"\(([\d.]+)\)", row)]
        assert len(losses) >= 2 and max(losses) < 1.01 * min(losses)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_teaches_by_examples(script: str) -> None:
    out = run(script, "--help")
    assert f"examples\n  python benches/{script}.py" in out
    # Each option that the examples name is one that the script has.
    options, examples = out.split("examples\n")
    assert set(re.findall(r" (--[a-z-]+)", examples)) <= set(re.findall(r"(--[a-z-]+)", options))


def test_peers_train_what_is_asked_and_say_what_they_lack() -> None:
    asked = ["--activation", "tanh", "--loss", "mean_squared_error", "--optimizer", "momentum"]
    out = run(
        "peers", "--tiny", "--threads", "1", "--networks", "1", "--backends", "reference", "--peers", "numpy", *asked
    )
    assert "failed: ValueError: only sparse_categorical_crossentropy and adam here, with relu" in out
    row = next(line for line in out.split("First use")[1].splitlines() if line.startswith("| 64-32-10"))
    (loss,) = re.findall(r"\(([\d.]+)\)", row)
    assert 0.1 < float(loss) < 2.0  # of targets of a half more or less than zero, not a crossentropy of ten classes


def test_the_documented_command_measures(tmp_path: Path) -> None:
    """`pytest benches/` as README.md has it, of one operation: its table, and the columns in the JSON."""
    documented = "pytest benches/"
    assert f"    {documented}\n" in (HERE / "README.md").read_text()
    found = tmp_path / "found.json"
    command = [sys.executable, "-c", "import pytest, sys; sys.exit(pytest.main())", str(HERE), "-k", "gemm_nn"]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # not a worker
    ran = subprocess.run(
        [*command, f"--benchmark-json={found}"], env=alone, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout
    head = next(line for line in ran.stdout.splitlines() if line.startswith(" operation "))
    columns = " ".join(
        ("operation", "shape", "dtype", "backend", "threads", "median", "+-", "GFLOP/s", "GB/s", "of peak")
    )
    assert " ".join(head.split()).startswith(columns)
    assert re.search(r"^ gemm_nn +256x256x784 +float32 +\w+ +\d ", ran.stdout, re.M)
    benchmarks = json.loads(found.read_text())["benchmarks"]
    assert {"threads", "GFLOP/s", "GB/s", "share of the peak", "error", "shape"} == set(benchmarks[0]["extra_info"])
