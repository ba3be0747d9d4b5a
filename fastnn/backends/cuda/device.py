"""The card: its memory, its stream, launches and graphs, by cuda.core; and what is wrong where there is none."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from cuda.bindings import driver
from cuda.core import Device, LaunchConfig, ObjectCode, launch
from cuda.pathfinder import DynamicLibNotFoundError

from ...errors import BackendError
from ..card_speeds import dotted
from ..data import Array

OLDEST_DRIVER = (13, 0)  # the CUDA that a driver must know
DRIVER = 580  # which came with it
OLDEST_CARD = (7, 5)
EMULATED = "emulated"  # how the name of a card begins that is none

_CURE = "training can go on with another backend: compile(backend=...) or FASTNN_BACKEND"


class Memory:
    """A piece of the card's memory; it is given back when nobody holds it any more."""

    def __init__(self, card: Card, size: int) -> None:
        with explained("allocate", size):
            self._buffer = card.device.allocate(max(size, 1), stream=card.stream)
        self.address, self.size = int(self._buffer.handle), size


class Pinned:
    """Memory of the host that a card copies from and to while the host goes on; it is given back when nobody holds it,
    by whom copies must be done then.

    Attributes:
        bytes: it, as long as this is held.
    """

    def __init__(self, card: Card, size: int) -> None:
        with explained("pin memory of the host", size):
            address = int(_check(driver.cuMemHostAlloc(max(size, 1), 0))[0])
        self.bytes = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        weakref.finalize(self, driver.cuMemFreeHost, address).atexit = False


class Card:
    """One card, and the streams that work goes to.

    Attributes:
        stream: of all kernels, one behind another, and of what they wait for. incoming, outgoing: of copies to the card
            and back that go on beside them, which events order.
        multiprocessors: how many. shared_bytes: of memory that a block may have.
        name, arch: such as "NVIDIA H200" and "sm_90". driver: the CUDA that it knows. emulated: whether it is the test
        instrument, which is no card.
    """

    def __init__(self, device: Any, known: tuple[int, int]) -> None:
        self.device, self.name, self.driver = device, str(device.name), known
        self.capability = tuple(device.compute_capability)
        self.arch = f"sm_{self.capability[0]}{self.capability[1]}"
        self.emulated = self.name.lower().startswith(EMULATED)
        self.stream, self.incoming, self.outgoing = (device.create_stream() for _ in range(3))
        self.multiprocessors = int(device.properties.multiprocessor_count)
        self.shared_bytes = int(device.properties.max_shared_memory_per_block_optin)
        self._here = threading.local()
        self._process = os.getpid()
        self._here.entered = True

    def enter(self) -> None:
        """Makes the card that of this thread.

        Raises:
            BackendError: in a process that was forked from the one that opened it.
        """
        if getattr(self._here, "entered", False):
            if self._process == os.getpid():
                return
            raise BackendError(
                "cuda: this process was forked from one that uses the card, which CUDA forbids; start it with the "
                'method "spawn" of multiprocessing'
            )
        with explained("use the card"):
            self.device.set_current()
        self._here.entered = True

    def allocate(self, size: int) -> Memory:
        """So many bytes, of any content.

        Raises:
            BackendError: there are not so many.
        """
        return Memory(self, size)

    def put(self, address: int, array: Array) -> None:
        """Copies an array that is contiguous and not pinned to the card; when this returns, the array may change."""
        self._put(address, array, self.stream)

    def send(self, address: int, array: Array) -> None:
        """Copies an array that is contiguous and pinned to the card by `incoming`."""
        self._put(address, array, self.incoming)

    def _put(self, address: int, array: Array, stream: Any) -> None:
        if array.nbytes:
            with explained("copy to the card"):
                _check(driver.cuMemcpyHtoDAsync(address, array.ctypes.data, array.nbytes, stream.handle))

    def get(self, array: Array, address: int) -> None:
        """Copies from the card into an array that is contiguous, when all work is done."""
        with explained("copy from the card"):
            if array.nbytes:
                _check(driver.cuMemcpyDtoHAsync(array.ctypes.data, address, array.nbytes, self.stream.handle))
            self.stream.sync()

    def fetch(self, array: Array, address: int) -> None:
        """Copies from the card into an array that is contiguous and pinned by `outgoing`."""
        if array.nbytes:
            with explained("copy from the card"):
                _check(driver.cuMemcpyDtoHAsync(array.ctypes.data, address, array.nbytes, self.outgoing.handle))

    def copy(self, to: int, address: int, size: int) -> None:
        """Copies so many bytes within the card."""
        if size:
            with explained("copy on the card"):
                _check(driver.cuMemcpyDtoDAsync(to, address, size, self.stream.handle))

    def mark(self, stream: Any) -> Any:
        """An event: all that a stream was given so far is done."""
        with explained("mark a stream"):
            return stream.record()

    def after(self, stream: Any, event: Any) -> None:
        """What a stream is given from now on waits for an event."""
        with explained("order streams"):
            stream.wait(event)

    def wait(self, event: Any) -> None:
        """The host waits for an event."""
        with explained("wait"):
            event.sync()

    def number(self, address: int, number: int) -> None:
        """Writes 32 bits."""
        with explained("fill"):
            _check(driver.cuMemsetD32Async(address, number, 1, self.stream.handle))

    def zero(self, address: int, size: int) -> None:
        """Makes so many bytes 0."""
        if size:
            with explained("fill"):
                _check(driver.cuMemsetD8Async(address, 0, size, self.stream.handle))

    def load(self, image: bytes, name: str) -> Any:
        """A kernel of machine code, or of PTX for the emulated card."""
        with explained(f"load {name}"):
            made = ObjectCode.from_ptx(image, name=name) if self.emulated else ObjectCode.from_cubin(image, name=name)
            return made.get_kernel(name)

    def allow_shared(self, kernel: Any, size: int) -> None:
        """Lets a kernel have more than 48 kB of shared memory."""
        with explained("set the shared memory of a kernel"):
            attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            _check(driver.cuKernelSetAttribute(attribute, size, kernel.handle, driver.CUdevice(self.device.device_id)))

    def launch(self, launches: Sequence[tuple[Any, ...]]) -> None:
        """Starts kernels, each with its config and arguments, one behind another."""
        with explained("start a kernel"):
            for kernel, config_, arguments, *_ in launches:
                launch(self.stream, config_, kernel, *arguments)

    def sync(self) -> None:
        """Waits for all work."""
        with explained("wait"):
            self.stream.sync()

    def captured(self, launches: Sequence[tuple[Any, ...]]) -> Any:
        """The same as a graph; nothing runs."""
        with explained("capture a step"):
            builder = self.device.create_graph_builder().begin_building()
            for kernel, config_, arguments, *_ in launches:
                launch(builder, config_, kernel, *arguments)
            return builder.end_building().complete()

    def replay(self, graph: Any) -> None:
        """Starts all kernels of a graph."""
        with explained("start a step"):
            graph.launch(self.stream)

    def free_bytes(self) -> int:
        """Of its memory, now."""
        with explained("look at the memory"):
            return int(_check(driver.cuMemGetInfo())[0])

    def total_bytes(self) -> int:
        """Of its memory."""
        with explained("look at the memory"):
            return int(_check(driver.cuMemGetInfo())[1])


def config(grid: int | tuple[int, ...], threads: int, shared: int = 0, together: bool = False) -> Any:
    """How many blocks, the threads of each, and its bytes of shared memory; `together`: all blocks at one time."""
    return LaunchConfig(grid=grid, block=threads, shmem_size=shared, is_cooperative=together)


def resident(kernel: Any, threads: int) -> int:
    """How many blocks of a kernel without dynamic shared memory a multiprocessor has at a time."""
    with explained("ask for the occupancy of a kernel"):
        return int(kernel.occupancy.max_active_blocks_per_multiprocessor(threads, 0))


def _check(answer: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a call of the driver gave, without its error.

    Raises:
        RuntimeError: there is one; it begins with its name, as cuda.core's do.
    """
    error, *rest = answer
    if error != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(error.name)
    return tuple(rest)


@contextmanager
def explained(what: str, size: int = 0) -> Iterator[None]:
    """Errors of the card as what a user can do about them.

    Raises:
        BackendError: see `sentence`.
    """
    try:
        yield
    except BackendError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        if "CUDA_ERROR" not in text and not isinstance(error, MemoryError):
            raise
        raise BackendError(f"cuda: {sentence(text, what, size)}") from error


def sentence(text: str, what: str, size: int = 0) -> str:
    """What an error of the driver means, and its cure."""
    name = next((word.strip(":,.") for word in text.split() if word.startswith("CUDA_ERROR")), "out of memory")
    if "OUT_OF_MEMORY" in name or name == "out of memory":
        return (
            f"the card has no {size / 1e6:.0f} MB more; use a smaller batch, end other programs that use it "
            "(nvidia-smi lists them), or use another backend"
        )
    if name in ("CUDA_ERROR_NO_DEVICE", "CUDA_ERROR_INVALID_DEVICE"):
        return "the driver finds no NVIDIA card; look at nvidia-smi and CUDA_VISIBLE_DEVICES"
    if name in ("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE"):
        return f"{name}: the driver's library does not fit its kernel module; restart the machine after its update"
    if name in ("CUDA_ERROR_NO_BINARY_FOR_GPU", "CUDA_ERROR_INVALID_IMAGE", "CUDA_ERROR_INVALID_PTX"):
        return f"{name} ({what}): a kernel was compiled for another card; delete the folder that `fastnn info` names"
    return (
        f"{name} ({what}): the card is lost to this process, whose weights are those that came home last, at the end "
        f"of an epoch or when somebody asked for them; start it anew, or {_CURE}"
    )


@cache
def card() -> Card:
    """The first card.

    Raises:
        BackendError: there is none that can be used; with the reason and its cure.
    """
    try:
        found = _found()
    except BackendError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        if isinstance(error, DynamicLibNotFoundError) or "DynamicLibNotFound" in text or "libcuda" in text:
            raise BackendError(
                f"no NVIDIA driver: libcuda.so.1 is not found; install driver {DRIVER} or later"
            ) from None
        if "CUDA_ERROR" in text:
            raise BackendError(sentence(text, "open the card")) from error
        raise BackendError(
            f"the driver finds no NVIDIA card ({text}); look at nvidia-smi and CUDA_VISIBLE_DEVICES"
        ) from error
    if found.capability < OLDEST_CARD:
        raise BackendError(
            f"{found.name} has compute capability {dotted(found.capability)}, expected {dotted(OLDEST_CARD)} or "
            "later; use another card or another backend"
        )
    return found


def _found() -> Card:
    _check(driver.cuInit(0))
    version = int(_check(driver.cuDriverGetVersion())[0])
    known = version // 1000, version % 1000 // 10
    if known < OLDEST_DRIVER:
        raise BackendError(
            f"the NVIDIA driver is too old: it knows CUDA {dotted(known)}, expected {dotted(OLDEST_DRIVER)}; install "
            f"driver {DRIVER} or later"
        )
    if not int(_check(driver.cuDeviceGetCount())[0]):
        raise BackendError(sentence("CUDA_ERROR_NO_DEVICE", "open the card"))
    device = Device(0)
    device.set_current()
    return Card(device, known)


def contiguous(array: Array, dtype: Any) -> Array:
    """The array of a dtype, rounded once, rows one behind another."""
    with np.errstate(all="ignore"):
        return np.ascontiguousarray(array, dtype)
