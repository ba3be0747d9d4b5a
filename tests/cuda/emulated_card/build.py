"""Compiles the emulated card's driver, and modules of PTX for it; each is kept under the hash of its sources."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .ptx import Refused
from .translate import translate

HERE = Path(__file__).parent
SOURCES = (
    "driver.c",
    "driver_launch.c",
    "driver_memory.c",
    "driver_stream.c",
    "failures.c",
    "knowledge.c",
    "library.c",
    "machine.c",
    "meetings.c",
    "memory.c",
    "orders.c",
    "races.c",
    "stream.c",
    "trace.c",
)
# Products are not fused with sums behind PTX's back; x86-64-v3 has the fused instruction that PTX asks for.
FLAGS = ("-march=x86-64-v3", "-ffp-contract=off", "-fno-strict-aliasing", "-fwrapv", "-shared", "-fPIC", "-pthread")


def cache() -> Path:
    """Where compiled things are kept: EMULATED_CACHE, or a folder of this user's."""
    chosen = os.environ.get("EMULATED_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen) if chosen else base / "fastnn-emulated-card"


def compiler() -> str:
    found = shutil.which(os.environ.get("EMULATED_CC", "gcc"))
    if not found:
        raise SystemExit("emulated card: gcc is needed, which translated kernels are compiled with")
    return found


def driver() -> Path:
    """The folder with the driver's libcuda.so.1, compiled if it is new."""
    digest = hashlib.sha256(sys.executable.encode() + str(HERE).encode())
    for path in sorted([*HERE.glob("*.py"), *HERE.glob("csrc/*")]):
        digest.update(path.read_bytes())
    folder = cache() / digest.hexdigest()[:24]
    library = folder / "libcuda.so.1"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        defined = {"PYTHON": sys.executable, "HERE": str(HERE.parent), "CACHE": str(folder)}
        command = [
            compiler(),
            "-O2",
            *FLAGS,
            "-std=gnu11",
            "-fno-semantic-interposition",
            "-Wl,-soname,libemulatedcard.so",
        ]
        command += [f'-D{name}="{value}"' for name, value in defined.items()]
        compile_to(library, [*command, *(str(HERE / "csrc" / s) for s in SOURCES), "-ldl", "-lm"])
    return folder


def compile_to(path: Path, command: list[str], text: str = "") -> None:
    """Runs a compiler command on files or on a text, its output put in place whole."""
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        made = Path(scratch) / path.name
        done = subprocess.run([*command, "-o", str(made)], input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}:\n{done.stderr[-3000:]}")
        made.replace(path)


def module(text: str, path: Path, races: bool) -> None:
    """Compiles PTX into a library that the emulated driver opens.

    Raises:
        Refused: PTX that the emulated card does not run.
    """
    source = translate(text)
    command = [
        compiler(),
        *FLAGS,
        "-std=gnu11",
        "-Werror=frame-larger-than=131072",  # half of a fiber's stack
        f"-I{HERE / 'csrc'}",
        *(["-O1", "-DRACES"] if races else ["-O2"]),
    ]
    compile_to(path, [*command, "-x", "c", "-", "-x", "none", f"-L{path.parent}", "-l:libcuda.so.1", "-lm"], source)


def main(source: str, path: str, log: str, mode: str) -> int:
    """What the driver runs for a PTX that it has not met: 0, or 1 with the reason in a log."""
    try:
        module(Path(source).read_text(), Path(path), mode == "races")
    except (Refused, RuntimeError, OSError) as error:
        Path(log).write_text(str(error))
        return 1
    return 0
