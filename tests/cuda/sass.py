"""Machine code by nvdisasm: its loops, and what they consist of."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest


class Block(NamedTuple):
    """Instructions that are run one after another."""

    opcodes: Counter[str]

    @property
    def size(self) -> int:
        return self.opcodes.total()


def disassembled(cubin: bytes) -> list[str]:
    """The instructions and labels of the kernel in a cubin."""
    nvdisasm = _nvdisasm()
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        run = subprocess.run([nvdisasm, "-c", file.name], capture_output=True, text=True, check=True)
    lines = []
    for line in run.stdout.splitlines():
        found = re.match(r"\s*(?:(\.L_x_\d+):|/\*[0-9a-f]{4,}\*/\s+(.*?);)", line)
        if found:
            lines.append(found[1] or found[2])
    return lines


def _nvdisasm() -> str:
    nvidia = pytest.importorskip("nvidia", reason="without the extra cuda13")
    for folder in nvidia.__path__:
        for path in sorted(Path(folder).glob("**/bin/nvdisasm")):
            return str(path)
    pytest.skip("nvdisasm is not installed: pip install nvidia-cuda-nvdisasm")


def hot_loop(lines: list[str], opcode: str) -> list[Block]:
    """The blocks of the loop that has most of an opcode."""
    labels = {line: number for number, line in enumerate(lines) if line.startswith(".L_x_")}
    found: list[tuple[int, int, int]] = []
    for number, line in enumerate(lines):
        target = re.search(r"\bBRA\b.*?(\.L_x_\d+)", line)
        if target and labels[target[1]] < number:
            begin = labels[target[1]]
            found.append((sum(opcode in other for other in lines[begin:number]), begin, number))
    _, begin, end = max(found)
    blocks, current = [], Counter[str]()
    for line in lines[begin : end + 1]:
        if not line.startswith(".L_x_"):
            current[re.sub(r"^@!?U?P\w+\s+", "", line).split()[0].split(".")[0]] += 1
        if (line.startswith(".L_x_") or re.search(r"\bBRA\b", line)) and current:
            blocks.append(Block(current))
            current = Counter()
    return [*blocks, *([Block(current)] if current else [])]
