"""The stand-in for the driver: memory with guard bands, launches, programs, failures by order."""

import ctypes
import hashlib
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driver_parts import ADD, BY_VALUE, A, N, scalar
from emulated_card.raw import Buffer, Card, CardError, program
from requires import instrument

instrument()

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


@pytest.mark.parametrize(
    ("name", "value"),
    (
        ("card", "sm_42"),
        ("order", "sideways"),
        ("checks", "race"),
        ("streams", "never"),
        ("fail", "no_device,no_luck:3"),
    ),
)
def test_settings_that_are_not_known(name: str, value: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CardError, match="INVALID_VALUE"):
        Card(**{name: value})
    assert f"EMULATED_{name.upper()}={value}" in capfd.readouterr().err


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
