"""What threads do together, against a plain model: shuffles, votes, barriers, atomics; calls, special registers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from emulated_card.raw import Array, Card, CardError, program
from requires import instrument

instrument()

ORDERS = ("forwards", "backwards", "random")
STORE = """
    mul.wide.u32 %rd9, %r1, 4;
    add.s64 %rd9, %b, %rd9;
    st.global.u32 [%rd9], %r9;
"""


def ran(body: str, n: int, values: Array | None = None, order: str = "forwards", **launch: Any) -> Array:
    """What n threads of a block leave in b, of which each stores %r9; %r1 is a thread's number, %r2 its value of a."""
    begin = "mov.u32 %r1, %tid.x; mul.wide.u32 %rd1, %r1, 4; add.s64 %rd1, %a, %rd1; ld.global.u32 %r2, [%rd1];\n"
    before = str(launch.pop("before", ""))
    card = Card(order=order)
    a = card.array(np.arange(n, dtype=np.uint32) if values is None else values)
    b = card.empty(np.zeros(n, np.uint32))
    card.launch(card.kernel(program(begin + body + STORE, before=before)), 1, n, [a, b], **launch)
    found: Array = b.get()
    return found


def shuffled(mode: str, values: list[int], lane: int, by: int, c: int) -> int:
    """The manual's rule, for a lane of a full warp; in bit 31 whether the lane was in range."""
    segment, clamp = c >> 8 & 31, c & 31
    most = (lane & segment) | (clamp & ~segment)
    source = {"up": lane - by, "down": lane + by, "bfly": lane ^ by, "idx": (lane & segment) | (by & ~segment)}[mode]
    inside = source >= most if mode == "up" else source <= most
    return values[source if inside else lane] | inside << 31


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("mode", ("up", "down", "bfly", "idx"))
def test_shuffles(mode: str, order: str) -> None:
    values = list(range(100, 132))
    for c in (0, 0x1800, 0x1000) if mode == "up" else (31, 0x180F | 7, 0x100F):
        for by in (0, 1, 5, 8, 16):
            got = ran(
                f"shfl.sync.{mode}.b32 %r9|%p1, %r2, {by}, {c}, -1;"
                "selp.u32 %r8, 0x80000000, 0, %p1; or.b32 %r9, %r9, %r8;",
                32,
                np.array(values, np.uint32),
                order,
            )
            assert got.tolist() == [shuffled(mode, values, lane, by, c) for lane in range(32)], (mode, by, c)


VOTES = {
    "vote.sync.all.pred %p2, %p1, -1; selp.u32 %r9, 1, 0, %p2;": lambda p: int(all(p)),
    "vote.sync.any.pred %p2, %p1, -1; selp.u32 %r9, 1, 0, %p2;": lambda p: int(any(p)),
    "vote.sync.uni.pred %p2, %p1, -1; selp.u32 %r9, 1, 0, %p2;": lambda p: int(all(p) or not any(p)),
    "vote.sync.ballot.b32 %r9, %p1, -1;": lambda p: sum(1 << k for k, x in enumerate(p) if x),
}


@pytest.mark.parametrize("text", VOTES)
def test_votes(text: str) -> None:
    for predicate in ([1] * 32, [0] * 32, [int(k % 3 == 1) for k in range(32)]):
        got = ran(f"setp.ne.u32 %p1, %r2, 0; {text}", 32, np.array(predicate, np.uint32), "random")
        assert set(got.tolist()) == {VOTES[text](predicate)}


REDUCTIONS: dict[str, Callable[[Array], int]] = {
    "add.u32": lambda v: int(v.sum(dtype=np.uint32)),
    "min.u32": lambda v: int(v.min()),
    "max.s32": lambda v: int(v.view(np.int32).max()) & 0xFFFFFFFF,
    "min.s32": lambda v: int(v.view(np.int32).min()) & 0xFFFFFFFF,
    "and.b32": lambda v: int(np.bitwise_and.reduce(v)),
    "or.b32": lambda v: int(np.bitwise_or.reduce(v)),
    "xor.b32": lambda v: int(np.bitwise_xor.reduce(v)),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_of_a_warp_that_is_not_full(name: str) -> None:
    values = np.random.default_rng(3).integers(0, 1 << 32, 21, np.uint32)
    got = ran(f"redux.sync.{name} %r9, %r2, 0x1fffff;", 21, values, "random")
    assert set(got.tolist()) == {REDUCTIONS[name](values)}


@pytest.mark.parametrize("order", ORDERS)
def test_reductions_of_a_barrier(order: str) -> None:
    body = """
    setp.lt.u32 %p1, %r2, 40;
    barrier.cta.red.popc.aligned.u32 %r9, 0, %p1;
    barrier.cta.red.and.aligned.pred %p2, 0, %p1;
    barrier.cta.red.or.aligned.pred %p3, 0, %p1;
    selp.u32 %r8, 1000, 0, %p2;
    add.u32 %r9, %r9, %r8;
    selp.u32 %r8, 100, 0, %p3;
    add.u32 %r9, %r9, %r8;
"""
    assert set(ran(body, 96, order=order).tolist()) == {140}


PIPE = """
    mov.u32 %r3, tile;
    and.b32 %r4, %r1, 31;
    mad.lo.u32 %r5, %r4, 4, %r3;
    mov.u32 %r9, 0;
    setp.ge.u32 %p1, %r1, 32;
    @%p1 bra READER;
    st.shared.u32 [%r5], %r2;
    bar.arrive 1, 64;
    bra DONE;
READER:
    bar.sync 1, 64;
    ld.shared.u32 %r9, [%r5];
DONE:
"""


@pytest.mark.parametrize("order", ORDERS)
def test_one_warp_writes_another_reads(order: str) -> None:
    tile = ".shared .align 4 .b8 tile[128];"
    assert ran(PIPE, 64, order=order, before=tile).tolist() == [0] * 32 + list(range(32))
    late = PIPE.replace(
        "st.shared.u32 [%r5], %r2;\n    bar.arrive 1, 64;", "bar.arrive 1, 64;\n    st.shared.u32 [%r5], %r2;"
    )
    with pytest.raises(CardError, match=r"^CUDA_ERROR_LAUNCH_FAILED: (race|uninitialised)"):
        ran(late, 64, order=order, before=tile)


ATOMICS: dict[str, Callable[[int, int], int]] = {  # of the values 7, 3, 9, 0xffffffff, one after another, onto 5
    "add.u32": (lambda old, x: old + x),
    "exch.b32": (lambda old, x: x),
    "min.s32": (lambda old, x: min(old, x, key=lambda v: v - ((v >> 31) << 32))),
    "max.u32": max,
    "and.b32": (lambda old, x: old & x),
    "or.b32": (lambda old, x: old | x),
    "xor.b32": (lambda old, x: old ^ x),
    "inc.u32": (lambda old, x: 0 if old >= x else old + 1),
    "dec.u32": (lambda old, x: x if old == 0 or old > x else old - 1),
}


@pytest.mark.parametrize("space", ("global", "shared"))
@pytest.mark.parametrize("name", ATOMICS)
def test_atomics(name: str, space: str) -> None:
    values, old, expected = (7, 3, 9, 0xFFFFFFFF), 5, []
    lines = ["mov.u32 %r3, place; st.shared.u32 [%r3], 5; st.global.u32 [%a], 5; mov.u32 %r9, 0;"]
    where = "[%a]" if space == "global" else "[%r3]"
    for x in values:
        expected.append(old)
        old = ATOMICS[name](old, x) & 0xFFFFFFFF
        lines.append(f"atom.{space}.{name} %r5, {where}, {x}; st.global.u32 [%b], %r5; add.s64 %b, %b, 4;")
    lines.append(f"red.{space}.{name.replace('exch', 'or')} {where}, 0; " if name != "exch.b32" else "")
    lines.append(f"atom.{space}.cas.b32 %r5, {where}, 1, 2; st.global.u32 [%b], %r5;")
    card = Card()
    b = card.empty(np.zeros(5, np.uint32))
    text = program("\n".join(lines), before=".shared .align 4 .b8 place[4];")
    card.launch(card.kernel(text), 1, 1, [card.array(np.zeros(1, np.uint32)), b])
    if name != "exch.b32":
        old = ATOMICS[name](old, 0) & 0xFFFFFFFF
    assert b.get().tolist() == [*expected, old]


COMPARE_AND_SWAP = """
AGAIN:
    ld.relaxed.gpu.global.u32 %r3, [%a];
    add.u32 %r4, %r3, 1;
    atom.global.cas.b32 %r5, [%a], %r3, %r4;
    setp.ne.u32 %p1, %r5, %r3;
    @%p1 bra AGAIN;
    mov.u32 %r9, %r5;
"""


@pytest.mark.parametrize("order", ORDERS)
def test_every_ticket_of_a_loop_of_compare_and_swap_is_given_once(order: str) -> None:
    card = Card(order=order)
    b = card.empty(np.zeros(256, np.uint32))
    number = "mov.u32 %r7, %ctaid.x; mov.u32 %r8, %ntid.x; mov.u32 %r6, %tid.x; mad.lo.u32 %r1, %r7, %r8, %r6;"
    text = program(number + COMPARE_AND_SWAP + STORE)
    card.launch(card.kernel(text), 4, 64, [card.array(np.zeros(1, np.uint32)), b])
    assert sorted(b.get().tolist()) == list(range(256))


LAST_BLOCK = """
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r3, %nctaid.x;
    mul.wide.u32 %rd1, %r1, 4;
    add.s64 %rd2, %b, %rd1;
    st.global.u32 [%rd2+4], %r1;
    membar.gl;
    atom.global.add.u32 %r4, [%a], 1;
    sub.u32 %r5, %r3, 1;
    setp.ne.u32 %p1, %r4, %r5;
    @%p1 bra DONE;
    fence.acq_rel.gpu;
    mov.u32 %r6, 0;
    mov.u32 %r7, 0;
SUM:
    mul.wide.u32 %rd3, %r6, 4;
    add.s64 %rd4, %b, %rd3;
    ld.global.u32 %r8, [%rd4+4];
    add.u32 %r7, %r7, %r8;
    add.u32 %r6, %r6, 1;
    setp.lt.u32 %p2, %r6, %r3;
    @%p2 bra SUM;
    st.global.u32 [%b], %r7;
DONE:
"""


@pytest.mark.parametrize("order", ORDERS)
def test_the_last_block_may_sum_what_the_others_left(order: str) -> None:
    # No block waits for another, so they need not be resident together; the fences are needed all the same.
    def summed(text: str) -> int:
        card = Card(order=order, checks="races")
        b = card.empty(np.zeros(9, np.uint32))
        card.launch(card.kernel(program(text)), 8, 1, [card.array(np.zeros(1, np.uint32)), b])
        return int(b.get()[0])

    assert summed(LAST_BLOCK) == 28
    for fence in ("membar.gl;", "fence.acq_rel.gpu;"):
        with pytest.raises(CardError, match="race: a read of global"):
            summed(LAST_BLOCK.replace(fence, ""))


CALLED = """
.func (.param .b32 result) twice(.param .b32 x)
{
    .reg .b32 %r<3>;
    ld.param.u32 %r1, [x];
    add.u32 %r2, %r1, %r1;
    st.param.b32 [result], %r2;
    ret;
}
"""


def test_a_function_and_a_block_of_inline_assembly() -> None:
    body = """
    {
    .reg .b32 %r2;
    mov.u32 %r2, 1000;
    add.u32 %r9, %r2, 0;
    }
    {
    .param .b32 argument;
    .param .b32 result;
    st.param.b32 [argument], %r2;
    call.uni (result), twice, (argument);
    ld.param.b32 %r3, [result];
    }
    add.u32 %r9, %r9, %r3;
"""
    assert ran(body, 40, before=CALLED).tolist() == [1000 + 2 * k for k in range(40)]


def test_special_registers() -> None:
    names = ("tid.x", "tid.y", "tid.z", "ntid.y", "ctaid.x", "ctaid.y", "nctaid.y", "laneid", "warpid", "lanemask_lt")
    number = """
    mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %tid.z;
    mad.lo.u32 %r2, %r3, 3, %r2; mad.lo.u32 %r1, %r2, 8, %r1;
    mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ctaid.y; mad.lo.u32 %r2, %r3, 2, %r2; mad.lo.u32 %r1, %r2, 48, %r1;
    mul.wide.u32 %rd1, %r1, 40; add.s64 %rd2, %a, %rd1;
"""
    body = "".join(f"mov.u32 %r9, %{n}; st.global.u32 [%rd2+{4 * k}], %r9;\n" for k, n in enumerate(names))
    card = Card(order="random")
    a = card.empty(np.zeros((6, 48, 10), np.uint32))
    card.launch(card.kernel(program(number + body, "u64 a")), (2, 3), (8, 3, 2), [a])
    got = a.get()
    for block in range(6):
        for thread in range(48):
            lane = thread % 32
            expected = [thread % 8, thread // 8 % 3, thread // 24, 3, block % 2, block // 2, 3, lane, thread // 32]
            assert got[block, thread].tolist() == [*expected, (1 << lane) - 1]
