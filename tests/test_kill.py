"""A process that is killed while it saves leaves the old file or the new one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLED = """
import os, signal, sys
import numpy as np
import fastnn
from fastnn import layers
from fastnn.core import files

path = sys.argv[1]

def model(value):
    made = fastnn.Sequential([fastnn.Input((40,)), layers.Dense(50)])
    made.set_weights([np.full((40, 50), value), np.full(50, value)])
    return made

old, new = model(1.0), model(2.0)

def reached(told):
    os.write(told, b".")
    while True:
        signal.pause()

class Half:
    # A file of which half is written when the process is killed.
    def __init__(self, file, told):
        self.file, self.told = file, told
    def __enter__(self):
        return self
    def __exit__(self, *exception):
        self.file.close()
    def fileno(self):
        return self.file.fileno()
    def writelines(self, parts):
        content = b"".join(parts)
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        reached(self.told)

def at(stage, told):
    # Stops the process at a stage of the next save.
    replace, fsync = os.replace, os.fsync
    if stage == "half written":
        files.open = lambda *arguments: Half(open(*arguments), told)
    elif stage == "written":
        os.fsync = lambda number: reached(told)
    elif stage == "on disk":
        os.replace = lambda source, target: reached(told)
    elif stage == "renamed":
        os.replace = lambda source, target: (replace(source, target), reached(told))

def killed(work, bytes):
    # Runs `work` in a child, and kills it when it has told so many bytes.
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        work(told)
    os.close(told)
    while bytes:
        bytes -= len(os.read(heard, bytes))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(heard)

def again_and_again(told):
    while True:
        for each in (new, old):
            os.write(told, b".")
            each.save(path)

def value():
    kernel, bias = fastnn.load_model(path).get_weights()
    assert (kernel == kernel[0, 0]).all() and (bias == kernel[0, 0]).all()
    return kernel[0, 0]

for stage, left in (("half written", 1.0), ("written", 1.0), ("on disk", 1.0), ("renamed", 2.0)):
    old.save(path)
    killed(lambda told: (at(stage, told), new.save(path)), 1)
    assert value() == left, stage
for number in range(40):
    killed(again_and_again, 1 + number % 5)
    assert value() in (1.0, 2.0)
new.save(path)
assert value() == 2.0
assert os.listdir(os.path.dirname(path)) == ["model"]  # nothing is left of those who were killed
print("whole")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
def test_kill_at_any_moment(tmp_path: Path) -> None:
    environment = {**os.environ, "FASTNN_BACKEND": "reference", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "model")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "whole\n", done.stderr
