"""Bank conflicts and sectors, of accesses whose numbers one can count by hand."""

import numpy as np
import pytest

from emulated_card.banks import Traffic, traced
from emulated_card.raw import Card, program
from requires import instrument

instrument()


SHARED = {  # elements between lanes, bytes of each: wavefronts a request
    (1, 4): 1,
    (2, 4): 2,
    (32, 4): 32,
    (33, 4): 1,
    (0, 4): 1,
    (1, 16): 4,
    (2, 16): 8,
    (1, 8): 2,
}


def body(stride: int, size: int) -> str:
    registers = {4: "%r5", 8: "{%r5, %r6}", 16: "{%r5, %r6, %r7, %r8}"}[size]
    vector = {4: "", 8: ".v2", 16: ".v4"}[size]
    return f"""
    mov.u32 %r1, %tid.x;
    mul.lo.u32 %r2, %r1, {stride * size};
    mov.u32 %r3, tile;
    add.u32 %r3, %r3, %r2;
    st.shared{vector}.u32 [%r3], {registers};
    mul.wide.u32 %rd1, %r1, {stride * size};
    add.s64 %rd2, %a, %rd1;
    ld.global{vector}.u32 {registers}, [%rd2];
"""


def traffic(stride: int, size: int) -> list[Traffic]:
    card = Card(checks="races")
    text = program(body(stride, size), before=".shared .align 16 .b8 tile[16384];")
    if not stride:  # all lanes at one place: a read
        text = text.replace("st.shared.u32 [%r3], %r5", "ld.shared.u32 %r5, [%r3]")
    kernel, a = card.kernel(text), card.array(np.zeros(4096, np.uint32))
    with traced() as trace:
        card.launch(kernel, 1, 64, [a, a])
    found: list[Traffic] = trace.traffic()
    return found


@pytest.mark.parametrize(("stride", "size"), SHARED)
def test_wavefronts_of_shared_memory(stride: int, size: int) -> None:
    (shared,) = (t for t in traffic(stride, size) if t.shared)
    assert (shared.requests, shared.parts) == (2, 2 * SHARED[stride, size])


def test_sectors_of_global_memory() -> None:
    for stride, size, each, least in ((1, 4, 4, 4), (2, 4, 8, 4), (8, 4, 32, 4), (1, 16, 16, 16)):
        (found,) = (t for t in traffic(stride, size) if not t.shared)
        assert (found.parts, found.least) == (2 * each, 2 * least)
