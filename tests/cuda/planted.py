"""Programs without a fault, each with the faults that can be planted in it and the name that the emulated card must find."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emulated_card.raw import Array, Card, program

N = 128


@dataclass(frozen=True)
class Fault:
    """One change of a program's text.

    Attributes:
        changes: (old, new) pairs; each old text must be there once. kind: how the fault's text begins. launch: what is
            launched otherwise than in the program without fault.
        orders: of the threads and blocks, in which it shows.
    """

    name: str
    kind: str
    changes: tuple[tuple[str, str], ...] = ()
    orders: tuple[str, ...] = ("forwards", "backwards", "random")
    launch: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """A kernel, its launch, and what it gives.

    Attributes:
        arrays: its arguments, in order; the last is the result, unwritten unless `filled`.
    """

    name: str
    text: str
    arrays: tuple[Array, ...]
    expected: Array
    faults: tuple[Fault, ...]
    grid: int = 1
    block: int = N
    shared: int = 0
    cooperative: bool = False
    filled: bool = False

    def mutated(self, fault: Fault) -> str:
        text = self.text
        for old, new in fault.changes:
            assert text.count(old) == 1, (self.name, fault.name, old, text.count(old))
            text = text.replace(old, new)
        return text

    def run(self, card: Card, text: str, **changed: Any) -> Array:
        launch = {"grid": self.grid, "block": self.block, "shared": self.shared, "cooperative": self.cooperative} | changed
        kernel = card.kernel(text)
        buffers = [card.array(a) for a in self.arrays[:-1]]
        last = self.arrays[-1]
        buffers.append(card.array(last) if self.filled else card.empty(last))
        card.launch(kernel, arguments=buffers, **launch)
        return buffers[-1].get()


INPUT = np.arange(1, N + 1, dtype=np.float32)
RESULT = np.zeros(N, np.float32)

REVERSE = Program(
    "reverse through shared memory",
    program(
        """
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd1, %r1, 4;
    add.s64 %rd2, %a, %rd1;
    ld.global.f32 %f1, [%rd2];
    add.rn.f32 %f1, %f1, 0f3F800000;
    mov.u32 %r2, tile;
    mad.lo.u32 %r3, %r1, 4, %r2;
    st.shared.f32 [%r3], %f1;
    bar.sync 0;
    sub.u32 %r4, 127, %r1;
    mad.lo.u32 %r5, %r4, 4, %r2;
    ld.shared.f32 %f2, [%r5];
    add.s64 %rd3, %b, %rd1;
    st.global.f32 [%rd3], %f2;
""",
        before=".shared .align 16 .b8 tile[512];",
    ),
    (INPUT, RESULT),
    INPUT[::-1] + np.float32(1),
    (
        Fault("barrier gone", "race", (("bar.sync 0;", ""),)),
        Fault("barrier of a part", "split barrier", (("bar.sync 0;", "setp.lt.u32 %p1, %r1, 100; @%p1 bar.sync 0;"),)),
        Fault(
            "two barriers for one",
            "split barrier",
            (("bar.sync 0;", "setp.lt.u32 %p1, %r1, 64; @%p1 bra A; bar.sync 0; bra B; A: bar.sync 0; B:"),),
        ),
        Fault("barrier of a warp for the block's", "race", (("bar.sync 0;", "bar.warp.sync -1;"),)),
        Fault("threads leave before the barrier", "split barrier", (("bar.sync 0;", "setp.gt.u32 %p1, %r1, 99; @%p1 ret; bar.sync 0;"),)),
        Fault("fence for a barrier", "race", (("bar.sync 0;", "membar.cta;"),)),
        Fault("shared overrun", "out of bounds", (("st.shared.f32 [%r3]", "st.shared.f32 [%r3+4]"),)),
        Fault("shared underrun", "out of bounds", (("ld.shared.f32 %f2, [%r5]", "ld.shared.f32 %f2, [%r5+-4]"),)),
        Fault("shared offset without its base", "out of bounds", (("mad.lo.u32 %r3, %r1, 4, %r2", "mul.lo.u32 %r3, %r1, 4"),)),
        Fault("misaligned shared store", "misaligned", (("mad.lo.u32 %r3, %r1, 4, %r2", "mad.lo.u32 %r3, %r1, 2, %r2"),)),
        Fault("half of the tile unwritten", "uninitialised read", (("st.shared.f32 [%r3]", "setp.lt.u32 %p1, %r1, 64; @%p1 st.shared.f32 [%r3]"),)),
        Fault("two threads store to one place", "race", (("mad.lo.u32 %r3, %r1, 4, %r2", "shr.u32 %r9, %r1, 1; mad.lo.u32 %r3, %r9, 4, %r2"),)),
        Fault("global load past the end", "out of bounds", (("ld.global.f32 %f1, [%rd2]", "ld.global.f32 %f1, [%rd2+4]"),)),
        Fault("global load before the beginning", "out of bounds", (("ld.global.f32 %f1, [%rd2]", "ld.global.f32 %f1, [%rd2+-4]"),)),
        Fault("global store past the end", "out of bounds", (("st.global.f32 [%rd3]", "st.global.f32 [%rd3+4]"),)),
        Fault("an offset for an address", "out of bounds", (("add.s64 %rd2, %a, %rd1", "mov.u64 %rd2, %rd1"),)),
        Fault("misaligned global load", "misaligned", (("ld.global.f32 %f1, [%rd2]", "ld.global.f32 %f1, [%rd2+2]"),)),
        Fault("misaligned quad", "misaligned", (("ld.global.f32 %f1, [%rd2]", "ld.global.v4.f32 {%f1, %f7, %f8, %f9}, [%rd2]"),)),
        Fault("result read before it is written", "uninitialised read", (("st.global.f32 [%rd3]", "ld.global.f32 %f3, [%rd3]; st.global.f32 [%rd3]"),)),
        Fault("result as a constant", "race", (("st.global.f32 [%rd3], %f2;", "st.global.f32 [%rd3], %f2; bar.sync 0; ld.global.nc.f32 %f3, [%b];"),)),
        Fault("a grid of two for a grid of one", "race", launch={"grid": 2}),
        Fault("a trap", "trap", (("bar.sync 0;", "bar.sync 0; trap;"),)),
        Fault("a loop without end", "endless loop", (("bar.sync 0;", "bar.sync 0; HERE: bra HERE;"),)),
        Fault("a barrier waits for more than there are", "deadlock", (("bar.sync 0;", "bar.sync 1, 256;"),)),
        Fault("a barrier for half a warp", "split barrier", (("bar.sync 0;", "bar.sync 1, 48;"),)),
    ),
)

BLOCK_SUM = Program(
    "sum of a warp by shuffles",
    program(
        """
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd1, %r1, 4;
    add.s64 %rd2, %a, %rd1;
    ld.global.u32 %r2, [%rd2];
    mov.u32 %r9, 16;
AGAIN:
    shfl.sync.bfly.b32 %r3, %r2, %r9, 31, -1;
    add.u32 %r2, %r2, %r3;
    shr.u32 %r9, %r9, 1;
    setp.ne.u32 %p1, %r9, 0;
    @%p1 bra AGAIN;
    add.s64 %rd3, %b, %rd1;
    st.global.u32 [%rd3], %r2;
"""
    ),
    (np.arange(64, dtype=np.uint32), np.zeros(64, np.uint32)),
    np.repeat(np.arange(64, dtype=np.uint32).reshape(2, 32).sum(1, dtype=np.uint32), 32),
    (
        Fault("mask without the thread itself", "warp mask", (("31, -1;", "31, 0x7fffffff;"),)),
        Fault("mask without the lane that is read", "warp mask", (("shfl.sync.bfly.b32 %r3, %r2, %r9, 31, -1;", "setp.lt.u32 %p2, %r1, 16; @%p2 shfl.sync.bfly.b32 %r3, %r2, %r9, 31, 0xffff;"),)),
        Fault("masks that differ", "warp mask", (("31, -1;", "31, %r8;"), ("mov.u32 %r9, 16;", "mov.u32 %r9, 16; setp.eq.u32 %p2, %r1, 3; selp.b32 %r8, 0x0fffffff, -1, %p2;"))),
        Fault("a lane that does not come", "deadlock", (("shfl.sync.bfly.b32 %r3, %r2, %r9, 31, -1;", "and.b32 %r7, %r1, 31; setp.eq.u32 %p2, %r7, 5; @%p2 bar.sync 0; @!%p2 shfl.sync.bfly.b32 %r3, %r2, %r9, 31, -1;"),)),
        Fault("a lane that has left", "warp mask", (("AGAIN:", "setp.eq.u32 %p2, %r1, 5; @%p2 ret; AGAIN:"),)),
    ),
    block=64,
)

WARP_EXCHANGE = Program(
    "neighbours through shared memory",
    program(
        """
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd1, %r1, 4;
    add.s64 %rd2, %a, %rd1;
    ld.global.u32 %r2, [%rd2];
    mov.u32 %r3, tile;
    mad.lo.u32 %r4, %r1, 4, %r3;
    st.shared.u32 [%r4], %r2;
    bar.warp.sync -1;
    xor.b32 %r5, %r1, 1;
    mad.lo.u32 %r6, %r5, 4, %r3;
    ld.shared.u32 %r7, [%r6];
    add.s64 %rd3, %b, %rd1;
    st.global.u32 [%rd3], %r7;
""",
        before=".shared .align 4 .b8 tile[256];",
    ),
    (np.arange(64, dtype=np.uint32), np.zeros(64, np.uint32)),
    np.arange(64, dtype=np.uint32) ^ 1,
    (
        Fault("warp barrier gone", "race", (("bar.warp.sync -1;", ""),)),
        Fault("a shuffle for a warp barrier", "race", (("bar.warp.sync -1;", "shfl.sync.idx.b32 %r9, %r2, 0, 31, -1;"),)),
        Fault("warp barrier across warps", "race", (("xor.b32 %r5, %r1, 1;", "xor.b32 %r5, %r1, 32;"),)),
        Fault("warp barrier of half a warp", "race", (("bar.warp.sync -1;", "setp.lt.u32 %p1, %r1, 1; selp.b32 %r8, 1, -2, %p1; setp.gt.u32 %p2, %r1, 31; selp.b32 %r8, -1, %r8, %p2; bar.warp.sync %r8;"),)),
    ),
    block=64,
)

# Block 0 writes data and raises a flag; block 1 waits for it and reads. Thread 0 speaks for its block.
MESSAGE = Program(
    "a message between blocks",
    program(
        """
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, %ctaid.x;
    mul.wide.u32 %rd1, %r1, 4;
    add.s64 %rd2, %a, %rd1;
    add.s64 %rd3, %b, %rd1;
    setp.ne.u32 %p1, %r2, 0;
    @%p1 bra READER;
    ld.global.u32 %r3, [%rd2+512];
    add.u32 %r3, %r3, 7;
    st.global.u32 [%rd2], %r3;
    bar.sync 0;
    setp.ne.u32 %p2, %r1, 0;
    @%p2 bra DONE;
    membar.gl;
    st.release.gpu.global.u32 [%a+1024], 1;
    bra DONE;
READER:
    setp.ne.u32 %p2, %r1, 0;
    @%p2 bra READ;
SPIN:
    ld.acquire.gpu.global.u32 %r4, [%a+1024];
    setp.eq.u32 %p3, %r4, 0;
    @%p3 bra SPIN;
READ:
    bar.sync 1;
    ld.global.u32 %r5, [%rd2];
    st.global.u32 [%rd3], %r5;
DONE:
"""
    ),
    (np.r_[np.zeros(N), np.arange(N), 0].astype(np.uint32), np.zeros(N, np.uint32)),
    np.arange(N, dtype=np.uint32) + 7,
    (
        Fault("release and fence made relaxed", "race", (("st.release.gpu", "st.relaxed.gpu"), ("membar.gl;", ""))),
        Fault("release made weak", "race", (("st.release.gpu.global", "st.global"),)),
        Fault("release and fence of the block", "race", (("st.release.gpu", "st.release.cta"), ("membar.gl;", "membar.cta;"))),
        Fault("fence of the block, release relaxed", "race", (("st.release.gpu", "st.relaxed.gpu"), ("membar.gl;", "fence.acq_rel.cta;"))),
        Fault("acquire made relaxed", "race", (("ld.acquire.gpu", "ld.relaxed.gpu"),)),
        Fault("acquire made volatile", "race", (("ld.acquire.gpu", "ld.volatile"),)),
        Fault("acquire of the block", "race", (("ld.acquire.gpu", "ld.acquire.cta"),)),
        Fault("writer's barrier gone", "race", (("    bar.sync 0;\n", ""),)),
        Fault("reader's barrier gone", "race", (("    bar.sync 1;\n", ""),)),
        Fault("flag before the data", "race", (("st.global.u32 [%rd2], %r3;\n    bar.sync 0;", "bar.sync 0;"), ("    bra DONE;\nREADER", "    st.global.u32 [%rd2], %r3;\n    bra DONE;\nREADER"))),
        Fault("flag never raised", "livelock", (("st.release.gpu.global.u32 [%a+1024], 1;", ""),)),
        Fault("not launched as cooperative", "not co-resident", orders=("backwards",), launch={"cooperative": False}),
        Fault("more blocks than are co-resident", "not co-resident", launch={"grid": 5}),
    ),
    grid=2,
    cooperative=True,
)
RELAXED = {  # what makes the relaxed accesses of the message right again
    "fences": (("st.release.gpu", "st.relaxed.gpu"), ("ld.acquire.gpu", "ld.relaxed.gpu"), ("READ:\n", "    fence.acq_rel.gpu;\nREAD:\n")),
    "volatile and membar": (("st.release.gpu", "st.volatile"), ("ld.acquire.gpu", "ld.volatile"), ("READ:\n", "    membar.gl;\nREAD:\n")),
    "release alone": (("membar.gl;", ""),),
}

# Each block passes its numbers to the next, with a barrier of the grid between: rounds of (read, barrier, write, barrier).
RING = Program(
    "a ring of blocks",
    program(
        """
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %nctaid.x;
    add.u32 %r4, %r2, 1;
    rem.u32 %r4, %r4, %r3;
    mov.u32 %r5, %ntid.x;
    mad.lo.u32 %r6, %r4, %r5, %r1;
    mad.lo.u32 %r7, %r2, %r5, %r1;
    mul.wide.u32 %rd1, %r6, 4;
    mul.wide.u32 %rd2, %r7, 4;
    add.s64 %rd1, %b, %rd1;
    add.s64 %rd2, %b, %rd2;
    mov.u32 %r10, 0;
    setp.eq.u32 %p1, %r1, 0;
ROUND:
    ld.global.u32 %r8, [%rd1];
    bar.sync 0;
    add.u32 %r10, %r10, %r3;
    @!%p1 bra FIRST;
    atom.acq_rel.gpu.global.add.u32 %r9, [%a], 1;
SPIN1:
    ld.acquire.gpu.global.u32 %r9, [%a];
    setp.lt.u32 %p2, %r9, %r10;
    @%p2 bra SPIN1;
FIRST:
    bar.sync 0;
    st.global.u32 [%rd2], %r8;
    bar.sync 0;
    add.u32 %r10, %r10, %r3;
    @!%p1 bra SECOND;
    atom.release.gpu.global.add.u32 %r9, [%a], 1;
SPIN2:
    ld.acquire.gpu.global.u32 %r9, [%a];
    setp.lt.u32 %p2, %r9, %r10;
    @%p2 bra SPIN2;
SECOND:
    bar.sync 0;
    mul.lo.u32 %r11, %r3, 6;
    setp.lt.u32 %p3, %r10, %r11;
    @%p3 bra ROUND;
"""
    ),
    (np.zeros(1, np.uint32), np.arange(4 * 32, dtype=np.uint32)),
    np.roll(np.arange(4 * 32, dtype=np.uint32).reshape(4, 32), -3, axis=0).reshape(-1),
    (
        Fault("the count made relaxed", "race", (("atom.release.gpu", "atom.relaxed.gpu"),)),
        Fault("the count without semantics", "race", (("atom.release.gpu", "atom"),)),
        Fault("the count of the block", "race", (("atom.acq_rel.gpu", "atom.acq_rel.cta"),)),
        Fault("the count not atomic", "race", (("atom.release.gpu.global.add.u32 %r9, [%a], 1;", "ld.global.u32 %r9, [%a]; add.u32 %r9, %r9, 1; st.global.u32 [%a], %r9;"),)),
        Fault("the wait relaxed", "race", (("SPIN2:\n    ld.acquire.gpu", "SPIN2:\n    ld.relaxed.gpu"),)),
        Fault("one block too few", "race", (("SPIN1:\n", "    sub.u32 %r12, %r10, 1;\nSPIN1:\n"), ("setp.lt.u32 %p2, %r9, %r10;\n    @%p2 bra SPIN1", "setp.lt.u32 %p2, %r9, %r12;\n    @%p2 bra SPIN1")), orders=("backwards", "random")),
        Fault("one block too many", "livelock", (("SPIN1:\n", "    add.u32 %r12, %r10, 1;\nSPIN1:\n"), ("setp.lt.u32 %p2, %r9, %r10;\n    @%p2 bra SPIN1", "setp.lt.u32 %p2, %r9, %r12;\n    @%p2 bra SPIN1"))),
        Fault("barrier of the block after the wait gone", "race", (("FIRST:\n    bar.sync 0;", "FIRST:"),)),
        Fault("barrier of the block before the count gone", "race", (("st.global.u32 [%rd2], %r8;\n    bar.sync 0;", "st.global.u32 [%rd2], %r8;"),)),
        Fault("not launched as cooperative", "not co-resident", launch={"cooperative": False}),
    ),
    grid=4,
    block=32,
    cooperative=True,
    filled=True,
)

ASYNC_COPY = Program(
    "two stages of asynchronous copies",
    program(
        """
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, tile;
    mul.wide.u32 %rd1, %r1, 16;
    add.s64 %rd2, %a, %rd1;
    mad.lo.u32 %r3, %r1, 16, %r2;
    cp.async.cg.shared.global [%r3], [%rd2], 16;
    cp.async.commit_group;
    cp.async.cg.shared.global [%r3+512], [%rd2+512], 16;
    cp.async.commit_group;
    cp.async.wait_group 1;
    bar.sync 0;
    xor.b32 %r4, %r1, 31;
    mad.lo.u32 %r5, %r4, 16, %r2;
    ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [%r5];
    cp.async.wait_all;
    bar.sync 0;
    ld.shared.v4.u32 {%r20, %r21, %r22, %r23}, [%r5+512];
    add.u32 %r10, %r10, %r20;
    add.u32 %r11, %r11, %r21;
    add.u32 %r12, %r12, %r22;
    add.u32 %r13, %r13, %r23;
    add.s64 %rd3, %b, %rd1;
    st.global.v4.u32 [%rd3], {%r10, %r11, %r12, %r13};
""",
        before=".shared .align 16 .b8 tile[1024];",
    ),
    (np.arange(256, dtype=np.uint32), np.zeros(128, np.uint32)),
    np.arange(256, dtype=np.uint32).reshape(2, 32, 4).sum(0, dtype=np.uint32)[::-1].reshape(-1),
    (
        Fault("wait for one group too few", "uninitialised read", (("cp.async.wait_group 1;", "cp.async.wait_group 2;"),)),
        Fault("wait gone", "uninitialised read", (("cp.async.wait_all;", ""),)),
        Fault("barrier after the wait gone", "race", (("cp.async.wait_group 1;\n    bar.sync 0;", "cp.async.wait_group 1;"),)),
        Fault("the first stage copied over", "race", (("[%r3+512], [%rd2+512]", "[%r3], [%rd2+512]"), ("[%r5+512]", "[%r5]"))),
        Fault("misaligned copy", "misaligned", (("[%r3], [%rd2], 16", "[%r3], [%rd2+4], 16"),)),
        Fault("copy past the end", "out of bounds", (("[%rd2+512]", "[%rd2+528]"),)),
    ),
    block=32,
)

COUNTER = Program(
    "a counter in shared memory",
    program(
        """
    mov.u32 %r1, %tid.x;
    setp.eq.u32 %p1, %r1, 0;
    @%p1 st.shared.u32 [count], 0;
    bar.sync 0;
    atom.shared.add.u32 %r2, [count], 1;
    bar.sync 0;
    ld.shared.u32 %r3, [count];
    mul.wide.u32 %rd1, %r1, 4;
    add.s64 %rd2, %b, %rd1;
    st.global.u32 [%rd2], %r3;
""",
        before=".shared .align 4 .b8 count[4];",
    ),
    (np.zeros(1, np.uint32), np.zeros(N, np.uint32)),
    np.full(N, N, np.uint32),
    (
        Fault("counted without atomics", "race", (("atom.shared.add.u32 %r2, [count], 1;", "ld.shared.u32 %r2, [count]; add.u32 %r2, %r2, 1; st.shared.u32 [count], %r2;"),)),
        Fault("counted before it is cleared", "race", (("    bar.sync 0;\n    atom", "    atom"),)),
        Fault("never cleared", "uninitialised read", (("@%p1 st.shared.u32 [count], 0;", ""),)),
        Fault("read before all have counted", "race", (("1;\n    bar.sync 0;", "1;"),)),
    ),
)

BYTES = Program(
    "a byte a thread",
    program(
        """
    mov.u32 %r1, %tid.x;
    cvt.u64.u32 %rd1, %r1;
    add.s64 %rd2, %a, %rd1;
    ld.global.u8 %h1, [%rd2];
    add.s64 %rd3, %b, %rd1;
    st.global.u8 [%rd3], %h1;
"""
    ),
    (np.arange(N, dtype=np.uint8), np.zeros(N, np.uint8)),
    np.arange(N, dtype=np.uint8),
    (
        Fault("two threads write a byte", "race", (("add.s64 %rd3, %b, %rd1;", "shr.u64 %rd1, %rd1, 1; add.s64 %rd3, %b, %rd1;"),)),
        Fault("a byte past the end", "out of bounds", (("st.global.u8 [%rd3]", "st.global.u8 [%rd3+1]"),)),
    ),
)

LOCAL = Program(
    "an array of each thread",
    program(
        """
    .local .align 8 .b8 own[16];
    mov.u32 %r1, %tid.x;
    mov.u64 %rd1, own;
    st.local.u32 [%rd1+8], %r1;
    cvta.local.u64 %rd4, %rd1;
    ld.u32 %r2, [%rd4+8];
    mul.wide.u32 %rd2, %r1, 4;
    add.s64 %rd3, %b, %rd2;
    st.global.u32 [%rd3], %r2;
"""
    ),
    (np.zeros(1, np.uint32), np.zeros(N, np.uint32)),
    np.arange(N, dtype=np.uint32),
    (
        Fault("far past the array", "out of bounds", (("st.local.u32 [%rd1+8]", "st.local.u32 [%rd1+1000000]"),)),
        Fault("misaligned local store", "misaligned", (("st.local.u32 [%rd1+8]", "st.local.u32 [%rd1+6]"),)),
    ),
)

PROGRAMS = (REVERSE, BLOCK_SUM, WARP_EXCHANGE, MESSAGE, RING, ASYNC_COPY, COUNTER, BYTES, LOCAL)
