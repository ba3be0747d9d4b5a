"""The stand-in for the driver: memory with guard bands, streams that do things late, graphs, launches, errors."""

import ctypes
import hashlib
import os
import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulated_card.raw import Array, Buffer, Card, CardError, program
from requires import instrument

instrument()


N = 256
ADD = program(  # b[i] = a[i] + s[0]; s lies in the card's memory or in the argument
    """
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd1, %r1, 4;
    add.s64 %rd2, %a, %rd1;
    ld.global.f32 %f1, [%rd2];
    ld.global.f32 %f2, [%s];
    add.rn.f32 %f3, %f1, %f2;
    add.s64 %rd3, %b, %rd1;
    st.global.f32 [%rd3], %f3;
""",
    "u64 a, u64 b, u64 s",
)
BY_VALUE = ADD.replace(".param .u64 p_s", ".param .f32 p_s").replace(".reg .b64 %s;", ".reg .f32 %s;")
BY_VALUE = BY_VALUE.replace("ld.param.u64 %s", "ld.param.f32 %s").replace(
    "ld.global.f32 %f2, [%s];", "mov.f32 %f2, %s;"
)
A = np.arange(N, dtype=np.float32)


def scalar(card: Card, value: float) -> Buffer:
    return card.array(np.array([value], np.float32))


def pinned(card: Card, like: Array) -> Array:
    address = card.number("cuMemAllocHost_v2", like.nbytes)
    memory = memoryview((ctypes.c_char * like.nbytes).from_address(address))
    return np.frombuffer(memory, like.dtype)


# Memory.


def test_memory_begins_as_no_number_and_counts() -> None:
    card = Card(memory=1)
    buffer = card.empty(np.zeros(N, np.float32))
    assert np.isnan(buffer.get()).all()
    with pytest.raises(CardError, match="OUT_OF_MEMORY"):
        card.number("cuMemAlloc_v2", 1 << 20)
    card.call("cuMemFree_v2", buffer.address)
    assert card.number("cuMemAlloc_v2", 1 << 20)


def test_freed_twice_and_freed_never_taken() -> None:
    card = Card()
    buffer = card.array(A)
    card.call("cuMemFree_v2", buffer.address)
    with pytest.raises(CardError, match="freed twice"):
        card.call("cuMemFree_v2", buffer.address)
    with pytest.raises(CardError, match="not allocated"):
        card.call("cuMemFree_v2", card.array(A).address + 4)


@pytest.mark.parametrize("where", ("before", "past"))
def test_copies_stay_within_an_allocation_of_the_pool(where: str) -> None:
    card = Card()
    stream = card.stream()
    first, second = (card.number("cuMemAllocAsync", A.nbytes, stream) for _ in range(2))
    assert first < second
    address = second - 4 if where == "before" else first + 4
    with pytest.raises(CardError, match=r"out of bounds: copy writes .* an allocation of 1024"):
        card.call("cuMemcpyHtoDAsync_v2", address, A.ctypes.data, A.nbytes, stream)
        card.call("cuStreamSynchronize", stream)


def test_use_after_free_in_the_order_of_the_stream() -> None:
    card = Card()
    stream = card.stream()
    kernel, s = card.kernel(ADD), scalar(card, 1)
    a = Buffer(card, card.number("cuMemAllocAsync", A.nbytes, stream), A)
    a.put(A, stream)
    b = card.empty(A)
    card.launch(kernel, 1, N, [a, b, s], stream=stream)
    card.call("cuMemFreeAsync", a.address, stream)  # after the launch: right
    np.testing.assert_array_equal(b.get(stream), A + 1)
    card.launch(kernel, 1, N, [a, b, s], stream=stream)
    with pytest.raises(CardError, match=r"use after free: loads .* of 1024 that were freed"):
        card.call("cuStreamSynchronize", stream)


# Streams.


def test_the_host_sees_nothing_before_it_waits() -> None:
    card = Card()
    stream = card.stream()
    out = pinned(card, A)
    out[:] = -1
    a, b, s = card.array(A), card.empty(A), scalar(card, 2)
    card.launch(card.kernel(ADD), 1, N, [a, b, s], stream=stream)
    card.call("cuMemcpyDtoHAsync_v2", out.ctypes.data, b.address, out.nbytes, stream)
    assert (out == -1).all()
    card.call("cuStreamSynchronize", stream)
    np.testing.assert_array_equal(out, A + 2)


def test_pinned_memory_changed_before_its_copy_is_done() -> None:
    card = Card()
    stream = card.stream()
    source, a = pinned(card, A), card.empty(A)
    source[:] = A
    card.call("cuMemcpyHtoDAsync_v2", a.address, source.ctypes.data, A.nbytes, stream)
    source[:] = 0
    np.testing.assert_array_equal(a.get(stream), np.zeros_like(A))
    a.put(A, stream)  # memory that is not pinned is read at once
    np.testing.assert_array_equal(a.get(stream), A)


@pytest.mark.parametrize("ordered", (True, False))
def test_an_event_orders_two_streams_and_nothing_else_does(ordered: bool) -> None:
    card = Card()
    first, second = card.stream(), card.stream()
    kernel, s = card.kernel(ADD), scalar(card, 1)
    a, b, c = card.array(A), card.empty(A), card.empty(A)
    card.launch(kernel, 1, N, [a, b, s], stream=first)
    if ordered:
        event = card.number("cuEventCreate", 2)
        card.call("cuEventRecord", event, first)
        card.call("cuStreamWaitEvent", second, event, 0)
    card.launch(kernel, 1, N, [b, c, s], stream=second)
    if ordered:
        np.testing.assert_array_equal(c.get(second), A + 2)
        return
    with pytest.raises(CardError, match=r"uninitialised|race: .* in another stream"):
        card.call("cuStreamSynchronize", second)
        card.call("cuStreamSynchronize", first)


def test_a_copy_that_a_kernel_of_another_stream_overtakes() -> None:
    card = Card(checks="races")
    first, second = card.stream(), card.stream()
    a, b, s = card.array(A), card.array(A), scalar(card, 1)
    card.launch(card.kernel(ADD), 1, N, [a, b, s], stream=first)
    a.put(A + 1, second)
    with pytest.raises(CardError, match=r"race: a .* that nothing orders after .* in another stream"):
        card.call("cuStreamSynchronize", second)
        card.call("cuStreamSynchronize", first)


def test_waiting_by_the_host_orders_streams() -> None:
    card = Card()
    first, second = card.stream(), card.stream()
    a, b, s = card.array(A), card.empty(A), scalar(card, 1)
    card.launch(card.kernel(ADD), 1, N, [a, b, s], stream=first)
    card.call("cuStreamSynchronize", first)
    a.put(A + 1, second)
    card.call("cuStreamSynchronize", second)


@pytest.mark.parametrize("order", ("forwards", "random"))
def test_threads_of_the_host_launch_at_once(order: str) -> None:
    card = Card(order=order)
    kernel, s = card.kernel(ADD), scalar(card, 1)
    wrong: list[int] = []

    def work(number: int) -> None:
        stream, a, b = card.stream(), card.array(A + number), card.empty(A)
        for _ in range(20):
            card.launch(kernel, 1, N, [a, b, s], stream=stream)
            card.launch(kernel, 1, N, [b, a, s], stream=stream)
        if (b.get(stream) != A + number + 39).any():
            wrong.append(number)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and card.fault() == ""


def test_queries_end() -> None:
    card = Card()
    stream = card.stream()
    a, b, s = card.array(A), card.empty(A), scalar(card, 1)
    for _ in range(3):
        card.launch(card.kernel(ADD), 1, N, [a, b, s], stream=stream)
    asked = 1
    while card.library.cuStreamQuery(stream_handle(stream)):
        asked += 1
    assert asked == 3
    np.testing.assert_array_equal(b.get(stream), A + 1)


def stream_handle(stream: int) -> object:
    return ctypes.c_uint64(stream)


# Graphs.


def captured(card: Card, stream: int, work: list[tuple[int, list[object]]]) -> int:
    card.call("cuStreamBeginCapture_v2", stream, 0)
    for kernel, arguments in work:
        card.launch(kernel, 1, N, arguments, stream=stream)
    graph = end_capture(card, stream)
    made: int = card.number("cuGraphInstantiateWithFlags", graph, 0)
    card.call("cuGraphDestroy", graph)
    return made


def end_capture(card: Card, stream: int) -> int:
    out = ctypes.c_uint64()
    card.call("cuStreamEndCapture", stream, ctypes.byref(out))
    return out.value


def test_a_graph_reads_the_scalar_of_the_card_and_not_of_its_capture() -> None:
    card = Card()
    stream = card.stream()
    a, b, s = card.array(A), card.empty(A), scalar(card, 1)
    graph = captured(card, stream, [(card.kernel(ADD), [a, b, s])])
    assert np.isnan(b.get(stream)).all()  # nothing ran
    for value in (1, 5):
        s.put(np.array([value]), stream)
        card.call("cuGraphLaunch", graph, stream)
        np.testing.assert_array_equal(b.get(stream), A + np.float32(value))


def test_a_stale_scalar_shows_in_the_bits() -> None:
    # The fault that the test above would catch: the scalar captured by its value.
    card = Card()
    stream = card.stream()
    a, b = card.array(A), card.empty(A)
    kernel = card.kernel(BY_VALUE)
    value = np.float32(1)
    graph = captured(card, stream, [(kernel, [a, b, value])])
    value = np.float32(5)
    card.call("cuGraphLaunch", graph, stream)
    assert (b.get(stream) != A + value).any()


def test_a_graph_of_freed_memory() -> None:
    card = Card()
    stream = card.stream()
    a, b, s = card.array(A), card.empty(A), scalar(card, 1)
    graph = captured(card, stream, [(card.kernel(ADD), [a, b, s])])
    card.call("cuMemFree_v2", a.address)
    card.call("cuGraphLaunch", graph, stream)
    with pytest.raises(CardError, match="use after free"):
        card.call("cuStreamSynchronize", stream)


def test_waiting_within_a_capture() -> None:
    card = Card()
    stream = card.stream()
    card.call("cuStreamBeginCapture_v2", stream, 0)
    with pytest.raises(CardError, match="CAPTURE_UNSUPPORTED"):
        card.call("cuStreamSynchronize", stream)
    with pytest.raises(CardError, match="CAPTURE_INVALIDATED"):
        end_capture(card, stream)


# Launches and programs.

NOTHING = program("", "")


@pytest.mark.parametrize(
    ("launch", "why"),
    (
        ({"grid": 0, "block": 32}, "no such block or grid"),
        ({"grid": 1, "block": 1025}, "no such block or grid"),
        ({"grid": (1, 65536), "block": 32}, "no such block or grid"),
        ({"grid": 1, "block": 256}, "launch bounds"),
        ({"grid": 1, "block": 32, "shared": 49153}, "dynamic shared memory"),
    ),
)
def test_launches_that_a_card_refuses(launch: dict[str, Any], why: str) -> None:
    card = Card()
    kernel = card.kernel(program("", "", bounds=".maxntid 128"))
    with pytest.raises(CardError, match=why):
        card.launch(kernel, arguments=[], **launch)
    card.launch(kernel, 1, 128, [])


def test_shared_memory_beyond_48_kB_by_the_attribute_and_the_card() -> None:
    for name, most in (("sm_75", 65536), ("sm_80", 166912), ("sm_90", 232448)):
        card = Card(card=name)
        kernel = card.kernel(program("", "", target=name))
        card.call("cuKernelSetAttribute", 8, most, kernel, 0)
        card.launch(kernel, 1, 32, [], shared=most)
        with pytest.raises(CardError, match="INVALID_VALUE"):
            card.call("cuKernelSetAttribute", 8, most + 1, kernel, 0)


def test_parameters_of_a_wrong_size() -> None:
    card = Card()
    kernel = card.kernel(BY_VALUE)
    a = card.array(A)
    for size in (20, 24):  # two addresses and a float32, or by mistake a float64
        data = ctypes.create_string_buffer(struct.pack("QQf", a.address, a.address, 1.0).ljust(24, b"\0"))
        count = ctypes.c_size_t(size)
        extra = (ctypes.c_void_p * 5)(1, ctypes.addressof(data), 2, ctypes.addressof(count), None)
        arguments = ("cuLaunchKernel", kernel, 1, 1, 1, N, 1, 1, 0, 0, None, extra)
        if size == 20:
            card.call(*arguments)
            continue
        with pytest.raises(CardError, match="parameters of another size"):
            card.call(*arguments)


def test_a_program_for_a_newer_card() -> None:
    with pytest.raises(CardError, match="NO_BINARY_FOR_GPU: PTX for sm_90 on an emulated sm_80"):
        Card(card="sm_80").kernel(NOTHING)


def test_a_cubin_is_run_by_the_ptx_beside_its_hash(tmp_path: Path) -> None:
    # An ELF file of a header alone: what the card needs of a cubin is its length and its hash.
    cubin = (
        b"\x7fELF"
        + bytes(0x24)
        + struct.pack("<Q", 64)
        + bytes(0x34 - 0x30)
        + struct.pack("<HHHHHH", 64, 0, 0, 64, 0, 0)
    )
    card = Card(ptx=f"{tmp_path}/none:{tmp_path}")
    with pytest.raises(CardError, match="only beside its PTX"):
        load_image(card, cubin)
    (tmp_path / f"{hashlib.sha256(cubin).hexdigest()}.ptx").write_text(ADD)
    a, b, s = card.array(A), card.empty(A), scalar(card, 3)
    card.launch(load_image(card, cubin), 1, N, [a, b, s])
    np.testing.assert_array_equal(b.get(), A + 3)


def load_image(card: Card, image: bytes) -> int:
    library = card.number("cuLibraryLoadData", ctypes.create_string_buffer(image), None, None, 0, None, None, 0)
    kernel: int = card.number("cuLibraryGetKernel", library, ctypes.c_char_p(b"kernel"))
    return kernel


def test_variables_of_a_program() -> None:
    card = Card()
    text = program(
        "ld.const.u32 %r1, [table+4]; ld.global.u32 %r2, [total]; add.u32 %r1, %r1, %r2; st.global.u32 [%a], %r1;",
        "u64 a",
        before=".const .align 4 .u32 table[2] = {5, 7};\n.visible .global .align 4 .u32 total;",
    )
    out = card.array(np.zeros(1, np.uint32))
    kernel = card.kernel(text)
    library = card.number("cuKernelGetLibrary", kernel)
    size = ctypes.c_uint64()
    address = card.number("cuLibraryGetGlobal", ctypes.byref(size), library, ctypes.c_char_p(b"total"))
    assert size.value == 4
    value = np.array([30], np.uint32)
    card.call("cuMemcpyHtoD_v2", address, value.ctypes.data, 4)
    card.launch(kernel, 1, 1, [out])
    assert out.get().tolist() == [37]


# Failures to order.


@pytest.mark.parametrize(
    ("order", "function", "name"),
    (
        ("no_device", "cuInit", "CUDA_ERROR_NO_DEVICE"),
        ("initialization:803", "cuInit", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"),
        ("out_of_memory:2", "cuMemAlloc_v2", "CUDA_ERROR_OUT_OF_MEMORY"),
    ),
)
def test_failures_by_order(order: str, function: str, name: str) -> None:
    with pytest.raises(CardError, match=name):
        card = Card(fail=order)
        for _ in range(2):
            card.number("cuMemAlloc_v2", 64)


def test_too_old() -> None:
    assert Card(fail="driver_too_old").number("cuDriverGetVersion") == 12020
    card = Card(fail="card_too_old")
    assert card.number("cuDeviceGetAttribute", 75, 0) == 5


@pytest.mark.parametrize(
    ("order", "name"), (("illegal_address:2", "ILLEGAL_ADDRESS"), ("lost_device:2", "DEVICE_UNAVAILABLE"))
)
def test_errors_that_stay(order: str, name: str) -> None:
    card = Card(fail=order)
    kernel = card.kernel(NOTHING)
    card.launch(kernel, 1, 32, [])
    for _ in range(2):
        with pytest.raises(CardError, match=name):
            card.launch(kernel, 1, 32, [])
    with pytest.raises(CardError, match=name):
        card.call("cuCtxSynchronize")
    Card().call("cuCtxSynchronize")  # the next test's card is new


def test_faults_are_reported_to_a_file(tmp_path: Path) -> None:
    report = tmp_path / "faults"
    card = Card(report=report)
    with pytest.raises(CardError, match="trap"):
        card.launch(card.kernel(program("trap;", "")), 1, 32, [])
    assert report.read_text().startswith("trap: ")
    assert os.environ["EMULATED_REPORT"] == str(report)
