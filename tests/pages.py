"""Runs the blocks of a page: Python, and commands as in a console, each with the output that stands under it."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from fastnn.cli import main

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# What may differ from machine to machine: a number before a unit of time or rate.
MEASURED = re.compile(r"(?<![\w.])[\d,.]*\d[kM]?(?= (?:s|ms|us|ns|seconds|samples/s|GFLOP/s|GB/s|times as fast)\b)")
EXAMPLES = "python -m fastnn.examples."


def agrees(expected: str, printed: str) -> bool:
    """Whether an output is as the page has it; a line of dots there stands for any lines."""
    lines = expected.splitlines()
    number = r"[\d,.]*\d[kM]?"
    known = (number.join(map(re.escape, re.split(MEASURED, line))) for line in lines)
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else f"{text}\n" for line, text in zip(lines, known, strict=True))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed.splitlines())) is not None


def run_python(code: str, module: ModuleType) -> str:
    """What a block prints; its names are those of the module."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        exec(compile(code, "a block of the page", "exec"), vars(module))
    return stream.getvalue()


def run_command(command: str) -> str:
    """What a command of a console prints to both streams. fastnn's run inside this process."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        if command.startswith("fastnn "):
            code = main(shlex.split(command)[1:])
            assert code == 0 or stream.getvalue().startswith("fastnn"), command
        elif command.startswith(EXAMPLES):
            runpy.run_module(command.removeprefix("python -m "), run_name="__main__")
        else:
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
            stream.write(done.stdout)
    return stream.getvalue()


def run_blocks(text: str, folder: Path) -> int:
    """Runs the blocks of a page in a folder, one after the other. Those that install are left to whoever has time.

    Returns:
        How many were run.
    """
    module, number = ModuleType("__main__"), 0
    before = Path.cwd()
    os.chdir(folder)
    had, sys.modules["__main__"] = sys.modules["__main__"], module  # where classes of a block are looked for
    try:
        printed: str | None = None
        for language, body in BLOCK.findall(text):
            if language == "python":
                printed = run_python(body, module)
            elif language == "text":
                assert printed is not None, f"an output that follows no Python:\n{body}"
                assert agrees(body, printed), f"expected\n{body}\nprinted\n{printed}"
                printed = None
                continue
            elif language == "console":
                printed = None
                for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                    command, _, expected = part.partition("\n")
                    found = run_command(command)
                    assert agrees(expected, found), f"{command}: expected\n{expected}\nprinted\n{found}"
            else:
                assert language == "sh" and "pip install" in body, f"a block that nobody runs:\n{body}"
                continue
            number += 1
    finally:
        sys.modules["__main__"] = had
        os.chdir(before)
    return number
