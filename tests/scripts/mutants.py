"""Plants faults, one at a time, and runs the tests against each: a suite that lets one through is too weak there.

    python tests/scripts/mutants.py                          all faults (hours on two cores)
    python tests/scripts/mutants.py --only c-tile-edge core-chunk-255
    python tests/scripts/mutants.py --list                   their names, and whether they still fit the sources
    python tests/scripts/mutants.py --report FILE             what caught each, as a table
    python tests/scripts/mutants.py --suite OLD/tests        the tests of another checkout against the same faults

It works on copies: of HEAD, in a temporary folder, and of an environment in which HEAD is installed (made for the
purpose, or --venv DIR, which needs the test extra and whose extension must be that of HEAD). A fault in Python is
written over the installed file, one in C is compiled and takes the place of the extension, one in the contract does
both. Then pytest runs, first on the files that know the subject, then, if they pass, on all of them. Before the first
fault those files have to pass without one.

The faults are those of `faults/`; those of one instruction set need a processor that has it. "nothing" in the report
is where a test is lacking.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("CC", "cc").split()
# What the headers of the extension are generated from, beside csrc.
_CORE = (
    "arithmetic", "binary", "formulas", "instructions", "losses", "operations", "plan", "random", "rowwise", "steps",
)  # fmt: skip
CONTRACT = (*(f"fastnn/core/{name}.py" for name in _CORE), "fastnn/backends/tuning.py")
TEST_LIMIT = 200  # seconds of a single test: then it hangs
RUN_LIMIT = 3600  # seconds of a run of pytest


@dataclass(frozen=True)
class Result:
    """What the tests said of a fault; `by` is the first test that failed, "" where none did."""

    fault: Fault
    by: str
    hung: bool
    seconds: float

    @property
    def said(self) -> str:
        """The result in words."""
        return f"{self.by}{' (time-out)' if self.hung else ''}" if self.by else "nothing"


class Place:
    """A copy of HEAD and an environment in which it is installed, where faults are planted.

    Args:
        folder: where they are made. venv: an environment to copy; None to make one. suite: tests to run instead of
            those of HEAD. objects: where compiled C is kept by what it is made of.
    """

    def __init__(self, folder: Path, venv: Path | None, suite: Path | None, objects: Path) -> None:
        self.checkout, self.venv, self._objects = folder / "checkout", folder / "venv", objects
        self.cache, self._temporary = folder / "cache", folder / "tmp"
        self._broken: list[str] = []  # tests that fail without any fault, which only runs of all tests come to
        archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], stdout=subprocess.PIPE, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(self.checkout, filter="data")
        if suite is not None:
            shutil.rmtree(self.checkout / "tests")
            shutil.copytree(suite, self.checkout / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        self._python = self.venv / "bin" / "python"
        if venv is None:
            run([sys.executable, "-m", "venv", self.venv])
            self.python("-m", "pip", "install", "--quiet", ".[test]")
        else:
            shutil.copytree(venv, self.venv, symlinks=True)
        self._package = Path(self.python("-I", "-c", "import fastnn; print(fastnn.__path__[0])").strip())
        if not self._package.is_relative_to(self.venv):
            raise SystemExit(f"{venv}: fastnn is not installed there, but used from {self._package}")
        for path in (self.checkout / "fastnn").rglob("*.py"):
            installed = self._package / path.relative_to(self.checkout / "fastnn")
            if not installed.exists() or installed.read_bytes() != path.read_bytes():
                raise SystemExit(f"{venv}: {installed.relative_to(self.venv)} is not that of HEAD; install HEAD there")

    def python(self, *arguments: str | Path) -> str:
        """What the environment's Python prints, in the checkout."""
        return run([self._python, *arguments], self.checkout)

    @contextmanager
    def planted(self, fault: Fault) -> Iterator[None]:
        """The fault is in the checkout and in the installed package."""
        path = self.checkout / fault.file
        text = path.read_text(encoding="utf-8")
        (extension,) = (self._package / "backends" / "c").glob("_fastnn.*")
        right = extension.read_bytes()
        try:
            path.write_text(mutated(fault, text), encoding="utf-8")
            self._install(fault.file)
            if fault.file.startswith("csrc/") or fault.file in CONTRACT:
                replace(extension, self._compiled())
            yield
        finally:
            path.write_text(text, encoding="utf-8")
            self._install(fault.file)
            replace(extension, right)

    def _install(self, file: str) -> None:
        """Puts a file of the checkout, if it is one of the package's, where that is installed."""
        if not file.startswith("fastnn/"):
            return
        path = self._package / file.removeprefix("fastnn/")
        replace(path, (self.checkout / file).read_bytes())
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):  # which may be as old and as long as another
            compiled.unlink()

    def _compiled(self) -> bytes:
        """The extension of the sources as they are; what they do not change is not compiled again."""
        code = (
            "import json, pathlib, sys, sysconfig\n"
            "sys.path.insert(0, 'csrc')\n"
            "import build\n"
            "made = pathlib.Path(sys.argv[1])\n"
            "build.write(made)\n"
            "build.library.emit_c_code(str(made / '_fastnn.c'))\n"
            "print(json.dumps([build.FILES, build.FLAGS, sysconfig.get_path('include')]))"
        )
        with tempfile.TemporaryDirectory() as made:
            files, flags, include = json.loads(self.python("-c", code, made).splitlines()[-1])
            flags += ["-O1", "-fPIC", "-pthread", f"-I{self.checkout / 'csrc'}", f"-I{made}", f"-I{include}"]
            sources = [Path(made, "_fastnn.c"), *(self.checkout / "csrc" / f"{name}.c" for name in files)]
            with ThreadPoolExecutor(2) as pool:
                objects = list(pool.map(lambda source: self._object(source, flags), sources))
            library = Path(made, "extension.so")
            run([*COMPILER, "-shared", "-pthread", *objects, "-o", library])
            return library.read_bytes()

    def _object(self, source: Path, flags: list[str]) -> Path:
        text = run([*COMPILER, "-E", "-P", *flags, source])
        path = self._objects / f"{hashlib.sha256(text.encode()).hexdigest()}.o"
        if not path.exists():
            made = path.with_suffix(f".{os.getpid()}.{id(self)}.part")
            run([*COMPILER, "-c", *flags, source, "-o", made])
            os.replace(made, path)
        return path

    def test(self, tests: Sequence[str], *options: str) -> tuple[str, bool]:
        """The first test that fails, or "", and whether it hung."""
        told = ["-q", "-p", "no:cacheprovider", f"--timeout={TEST_LIMIT}", "--timeout-method=thread", *options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "FASTNN"))}
        environment |= {"NUMBA_CACHE_DIR": str(self.cache), "FASTNN_REQUIRE": "numba,c", "COLUMNS": "300"}
        environment |= {"TMPDIR": str(self._temporary), "PYTHONSAFEPATH": "1"}  # not the package of the checkout
        environment.pop("PYTHONPATH", None)
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir()
        start = time.perf_counter()
        with tempfile.TemporaryFile("w+") as log:
            child = subprocess.Popen(
                [self._python, "-m", "pytest", *told, *(f"tests/{name}" for name in tests)],
                cwd=self.checkout,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = child.wait(RUN_LIMIT)
            except subprocess.TimeoutExpired:
                return "no test", True
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)  # what it has started and left
                child.wait()
            log.seek(0)
            text = log.read()
        if code == 0:
            return "", False
        failed = re.search(r"^(?:FAILED|ERROR) (?:tests/)?(\S+?(?:\[.*?\])?)(?= - |$)", text, re.MULTILINE)
        if failed is None:
            print(text[-4000:])
            return f"pytest, which ended with status {code}", False
        return failed[1], "crashed while running" in text and time.perf_counter() - start > TEST_LIMIT

    def tried(self, fault: Fault) -> Result:
        """What the tests say of a fault: those that know the subject, then all."""
        start = time.perf_counter()
        by, hung = self._with(fault, self.there(fault.tests))
        while not by:
            by, hung = self._with(fault, [""], *(f"--deselect=tests/{test}" for test in self._broken))
            if not by:
                break
            if "::" in by and self.test([by])[0]:
                print(f"{by} fails without any fault and is left out", flush=True)
                self._broken.append(by)
                by = ""
        return Result(fault, by, hung, time.perf_counter() - start)

    def _with(self, fault: Fault, tests: Sequence[str], *options: str) -> tuple[str, bool]:
        """`test` with a fault planted, up to the first test that fails."""
        kept = self.cache.with_name("kept")
        if self.cache.exists():  # kernels without a fault, which those of Python need; others are compiled anew
            shutil.copytree(self.cache, kept)
        try:
            with self.planted(fault):
                return self.test(tests, "-x", *options) if tests else ("", False)
        finally:
            shutil.rmtree(self.cache, ignore_errors=True)
            if kept.exists():
                kept.rename(self.cache)

    def there(self, tests: Sequence[str]) -> list[str]:
        """Those of these files that the suite has."""
        return [name for name in tests if (self.checkout / "tests" / name).exists()]


def run(command: Sequence[str | Path], folder: Path | None = None) -> str:
    """What a command prints; ends everything if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def replace(path: Path, content: bytes) -> None:
    """Another file of this name: one that is mapped into a process must not change."""
    made = path.with_name(f"{path.name}.part")
    made.write_bytes(content)
    os.replace(made, path)


def mutated(fault: Fault, text: str) -> str:
    """The text with the fault in it.

    Raises:
        ValueError: it does not fit. SyntaxError: what it makes is no Python.
    """
    found = text.count(fault.before)
    if found != 1 or fault.before == fault.after:
        raise ValueError(f"{fault.name}: its text occurs {found} times in {fault.file}, expected once")
    made = text.replace(fault.before, fault.after)
    if fault.file.endswith(".py"):
        ast.parse(made, fault.file)
    return made


def table(results: Sequence[Result]) -> str:
    """The report."""
    caught, hung = sum(bool(result.by) for result in results), sum(result.hung for result in results)
    lines = [
        "# Planted faults",
        "",
        "Made by `python tests/scripts/mutants.py --report FILE`, which says what this is. "
        f"Of {len(results)} faults the tests caught {caught}, {hung} of them by time-out.",
        "",
        "| fault | file | what goes wrong | caught by | seconds |",
        "| --- | --- | --- | --- | ---: |",
    ]
    for result in results:
        fault, by = result.fault, result.said.replace("|", "\\|")
        by = f"`{by}`" if result.by else f"**{by}**"
        lines.append(f"| {fault.name} | `{fault.file}` | {fault.why} | {by} | {result.seconds:.0f} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Runs the faults that are asked for; 0 if every one was caught."""
    parser = argparse.ArgumentParser(description="Plants faults and runs the tests against each.")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[fault.name for fault in FAULTS])
    parser.add_argument("--list", action="store_true", help="name the faults, and see whether they fit HEAD's files")
    parser.add_argument("--suite", type=Path, metavar="DIR", help="the tests folder of another checkout")
    parser.add_argument("--venv", type=Path, metavar="DIR", help="an environment in which HEAD is installed")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="faults at a time; each has two workers")
    parser.add_argument("--report", type=Path, metavar="FILE", help="where the table goes, as Markdown")
    args = parser.parse_args()
    chosen = [fault for fault in FAULTS if args.only is None or fault.name in args.only]
    wrong = []
    for fault in chosen:
        if args.list:
            print(f"{fault.name:24} {fault.file:44} {fault.why}")
        try:
            mutated(fault, run(["git", "-C", ROOT, "show", f"HEAD:{fault.file}"]))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise SystemExit("\n".join(wrong))
    if args.list:
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing is left behind
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        objects = Path(folder, "objects")
        objects.mkdir()
        first = Place(Path(folder, "0"), args.venv, args.suite, objects)
        others = [Place(Path(folder, str(n)), first.venv, args.suite, objects) for n in range(1, args.jobs)]
        files = sorted({name for fault in chosen for name in fault.tests})
        print("without a fault:", *first.there(files), flush=True)
        by, _ = first.test(first.there(files))
        if by:
            raise SystemExit(f"{by} fails without any fault")
        places: SimpleQueue[Place] = SimpleQueue()
        places.put(first)
        for place in others:
            if first.cache.exists():
                shutil.copytree(first.cache, place.cache)
            places.put(place)

        def tried(fault: Fault) -> Result:
            place = places.get()
            try:
                return place.tried(fault)
            finally:
                places.put(place)

        results: list[Result] = []
        with ThreadPoolExecutor(args.jobs) as pool:
            for result in map(tried, chosen) if args.jobs == 1 else pool.map(tried, chosen):
                results.append(result)
                print(f"{result.fault.name}: {result.said}, {result.seconds:.0f} s", flush=True)
                if args.report is not None:
                    args.report.write_text(table(results), encoding="utf-8")
    return 0 if all(result.by for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
