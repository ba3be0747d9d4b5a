"""The real cuda.core and Numba's compiler on the emulated card; and `run`, which puts it in place of a driver."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulated_card import build
from requires import instrument

instrument()

HERE = Path(__file__).parent
RUN, PROGRAM = HERE / "run", HERE / "core_program.py"
LOOK = """
from cuda.core import Device
device = Device(0)
device.set_current()
print(device.name, device.compute_capability.major, device.properties.multiprocessor_count)
"""


def run(*arguments: str, command: str = str(RUN), **settings: str) -> subprocess.CompletedProcess[str]:
    """Python with arguments, in a process of its own: cuda.core keeps what it once knows of a card."""
    environment = (
        {k: v for k, v in os.environ.items() if not k.startswith("EMULATED_")}
        | {"PYTHON": sys.executable, "PYTHONPATH": str(HERE)}
        | {f"EMULATED_{k.upper()}": v for k, v in settings.items()}
    )
    return subprocess.run(
        [command, sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("target", "order"),
    (("sm_75", "forwards"), ("sm_80", "backwards"), ("sm_90", "forwards"), ("sm_90", "random"), ("sm_100", "random")),
)
def test_a_kernel_of_numba(target: str, order: str) -> None:
    done = run(str(PROGRAM), "launch", target, card=target, order=order)
    assert (done.returncode, done.stdout, done.stderr) == (0, "right\n", "")


def test_a_graph_of_cuda_core() -> None:
    done = run(str(PROGRAM), "graph", "sm_90")
    assert (done.returncode, done.stdout, done.stderr) == (0, "right\n", "")


def test_a_fault_names_the_line_of_python() -> None:
    done = run(str(PROGRAM), "fault", "sm_90")
    assert done.returncode == 1 and "CUDA_ERROR_ILLEGAL_ADDRESS" in done.stderr
    assert "out of bounds: loads from global" in done.stderr and "numba_kernels.py:" in done.stderr


def test_run_puts_a_card_in_place() -> None:
    done = run("-c", LOOK, card="sm_80", multiprocessors="3")
    assert (done.returncode, done.stdout) == (0, "emulated sm_80 8 3\n"), done.stderr


@pytest.mark.parametrize(
    ("order", "text"),
    (
        ("no_driver", "NVIDIA driver library"),
        ("no_device", "CUDA_ERROR_NO_DEVICE"),
        ("no_devices", "device"),
        ("initialization:803", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"),
    ),
)
def test_run_with_a_failure_by_order(order: str, text: str) -> None:
    done = run("-c", LOOK, fail=order)
    assert done.returncode == 1 and text in done.stderr


def test_without_run_there_is_no_card() -> None:
    if Path("/dev/nvidia0").exists():
        pytest.skip("this machine has a card")
    done = run("-c", LOOK, command="env")
    assert done.returncode == 1 and "NVIDIA driver library" in done.stderr


def test_the_card_is_compiled_without_a_warning() -> None:
    defined = [f'-D{name}="{name}"' for name in ("PYTHON", "HERE", "CACHE")]
    warned = ["-std=gnu11", "-Wall", "-Wextra", "-Wno-parentheses", "-Werror", "-fsyntax-only"]
    subprocess.run(
        [build.compiler(), *build.FLAGS, *defined, *warned, *(str(build.HERE / "csrc" / s) for s in build.SOURCES)],
        check=True,
    )
