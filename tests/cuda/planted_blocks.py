"""Faults within a block: of barriers, of shared memory, of addresses."""

import numpy as np

from emulated_card.raw import Array, program
from planted import Fault, N, Program

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
        Fault(
            "two barriers for one, within a warp",
            "split barrier",
            (
                (
                    "bar.sync 0;",
                    "and.b32 %r9, %r1, 1; setp.eq.u32 %p1, %r9, 0; "
                    "@%p1 bra A; bar.sync 1, 128; bra B; A: bar.sync 1, 128; B:",
                ),
            ),
        ),
        Fault("barrier of a warp for the block's", "race", (("bar.sync 0;", "bar.warp.sync -1;"),)),
        Fault(
            "threads leave before the barrier",
            "split barrier",
            (("bar.sync 0;", "setp.gt.u32 %p1, %r1, 99; @%p1 ret; bar.sync 0;"),),
        ),
        Fault("fence for a barrier", "race", (("bar.sync 0;", "membar.cta;"),)),
        Fault("shared overrun", "out of bounds", (("st.shared.f32 [%r3]", "st.shared.f32 [%r3+4]"),)),
        Fault("shared underrun", "out of bounds", (("ld.shared.f32 %f2, [%r5]", "ld.shared.f32 %f2, [%r5+-4]"),)),
        Fault(
            "shared offset without its base",
            "out of bounds",
            (("mad.lo.u32 %r3, %r1, 4, %r2", "mul.lo.u32 %r3, %r1, 4"),),
        ),
        Fault(
            "misaligned shared store", "misaligned", (("mad.lo.u32 %r3, %r1, 4, %r2", "mad.lo.u32 %r3, %r1, 2, %r2"),)
        ),
        Fault(
            "half of the tile unwritten",
            "uninitialised read",
            (("st.shared.f32 [%r3]", "setp.lt.u32 %p1, %r1, 64; @%p1 st.shared.f32 [%r3]"),),
        ),
        Fault(
            "two threads store to one place",
            "race",
            (("mad.lo.u32 %r3, %r1, 4, %r2", "shr.u32 %r9, %r1, 1; mad.lo.u32 %r3, %r9, 4, %r2"),),
        ),
        Fault(
            "global load past the end", "out of bounds", (("ld.global.f32 %f1, [%rd2]", "ld.global.f32 %f1, [%rd2+4]"),)
        ),
        Fault(
            "global load before the beginning",
            "out of bounds",
            (("ld.global.f32 %f1, [%rd2]", "ld.global.f32 %f1, [%rd2+-4]"),),
        ),
        Fault("global store past the end", "out of bounds", (("st.global.f32 [%rd3]", "st.global.f32 [%rd3+4]"),)),
        Fault("an offset for an address", "out of bounds", (("add.s64 %rd2, %a, %rd1", "mov.u64 %rd2, %rd1"),)),
        Fault("misaligned global load", "misaligned", (("ld.global.f32 %f1, [%rd2]", "ld.global.f32 %f1, [%rd2+2]"),)),
        Fault(
            "misaligned quad",
            "misaligned",
            (("ld.global.f32 %f1, [%rd2]", "ld.global.v4.f32 {%f1, %f7, %f8, %f9}, [%rd2]"),),
        ),
        Fault(
            "result read before it is written",
            "uninitialised read",
            (("st.global.f32 [%rd3]", "ld.global.f32 %f3, [%rd3]; st.global.f32 [%rd3]"),),
        ),
        Fault(
            "result as a constant",
            "race",
            (("st.global.f32 [%rd3], %f2;", "st.global.f32 [%rd3], %f2; bar.sync 0; ld.global.nc.f32 %f3, [%b];"),),
        ),
        Fault("a grid of two for a grid of one", "race", launch={"grid": 2}),
        Fault("a trap", "trap", (("bar.sync 0;", "bar.sync 0; trap;"),)),
        Fault("a loop without end", "endless loop", (("bar.sync 0;", "bar.sync 0; HERE: bra HERE;"),)),
        Fault("a barrier waits for more than there are", "deadlock", (("bar.sync 0;", "bar.sync 1, 256;"),)),
        Fault("a barrier for half a warp", "split barrier", (("bar.sync 0;", "bar.sync 1, 48;"),)),
    ),
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
        Fault(
            "counted without atomics",
            "race",
            (
                (
                    "atom.shared.add.u32 %r2, [count], 1;",
                    "ld.shared.u32 %r2, [count]; add.u32 %r2, %r2, 1; st.shared.u32 [count], %r2;",
                ),
            ),
        ),
        Fault("counted before it is cleared", "race", (("    bar.sync 0;\n    atom", "    atom"),)),
        Fault("never cleared", "uninitialised read", (("@%p1 st.shared.u32 [count], 0;", ""),)),
        Fault("read before all have counted", "race", (("1;\n    bar.sync 0;", "1;"),)),
    ),
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
        Fault(
            "wait for one group too few", "uninitialised read", (("cp.async.wait_group 1;", "cp.async.wait_group 2;"),)
        ),
        Fault("wait gone", "uninitialised read", (("cp.async.wait_all;", ""),)),
        Fault(
            "barrier after the wait gone",
            "race",
            (("cp.async.wait_group 1;\n    bar.sync 0;", "cp.async.wait_group 1;"),),
        ),
        Fault(
            "the first stage copied over",
            "race",
            (("[%r3+512], [%rd2+512]", "[%r3], [%rd2+512]"), ("[%r5+512]", "[%r5]")),
        ),
        Fault("misaligned copy", "misaligned", (("[%r3], [%rd2], 16", "[%r3], [%rd2+4], 16"),)),
        Fault("copy past the end", "out of bounds", (("[%rd2+512]", "[%rd2+528]"),)),
    ),
    block=32,
)

# A dot product in chunks, which are summed apart: what goes wrong here shows in the bits alone.
K, CHUNK = 700, 256
LEFT = np.random.default_rng(1).standard_normal(K).astype(np.float32)
RIGHT = np.random.default_rng(2).standard_normal(K).astype(np.float32)


def chunked(a: Array, b: Array) -> Array:
    """One chain of fused products and sums a chunk, and the sum of the chains."""
    total = np.float32(-0.0)
    for first in range(0, K, CHUNK):
        chain = np.float32(0)
        for x, y in zip(a[first : first + CHUNK], b[first : first + CHUNK], strict=True):
            chain = fused(x, y, chain)
        total = np.float32(total + chain)
    return np.array([total])


def fused(x: np.float32, y: np.float32, z: np.float32) -> np.float32:
    """x y + z, rounded once: the sum in float64 is made odd where it is not exact, and then rounds right."""
    product, addend = np.float64(x) * np.float64(y), np.float64(z)
    total = product + addend
    back = total - product
    rest = (product - (total - back)) + (addend - back)
    if rest and not total.view(np.int64) & 1:
        total = np.nextafter(total, np.inf if rest > 0 else -np.inf)
    return np.float32(total)


DOT = Program(
    "a dot product in chunks",
    program(
        """
    mov.u32 %r1, 0;
    mov.f32 %f1, 0f00000000;
    mov.f32 %f2, 0f80000000;
NEXT:
    mul.wide.u32 %rd1, %r1, 4;
    add.s64 %rd2, %a, %rd1;
    add.s64 %rd3, %b, %rd1;
    ld.global.f32 %f3, [%rd2];
    ld.global.f32 %f4, [%rd3];
    fma.rn.f32 %f1, %f3, %f4, %f1;
    add.u32 %r1, %r1, 1;
    and.b32 %r2, %r1, 255;
    setp.ne.u32 %p1, %r2, 0;
    @%p1 bra SAME;
    add.rn.f32 %f2, %f2, %f1;
    mov.f32 %f1, 0f00000000;
SAME:
    setp.lt.u32 %p2, %r1, 700;
    @%p2 bra NEXT;
    add.rn.f32 %f2, %f2, %f1;
    st.global.f32 [%c], %f2;
""",
        "u64 a, u64 b, u64 c",
    ),
    (LEFT, RIGHT, np.zeros(1, np.float32)),
    chunked(LEFT, RIGHT),
    (
        Fault("chunks of 512", "bits", (("255;", "511;"),)),
        Fault("no chunks", "bits", (("add.rn.f32 %f2, %f2, %f1;\n    mov.f32 %f1, 0f00000000;\nSAME", "SAME"),)),
        Fault(
            "a product rounded",
            "bits",
            (("fma.rn.f32 %f1, %f3, %f4, %f1;", "mul.rn.f32 %f5, %f3, %f4; add.rn.f32 %f1, %f5, %f1;"),),
        ),
        Fault(
            "a bare product and sum",
            "refused",
            (("fma.rn.f32 %f1, %f3, %f4, %f1;", "mul.f32 %f5, %f3, %f4; add.f32 %f1, %f5, %f1;"),),
        ),
        Fault("a bare sum", "refused", (("add.rn.f32 %f2, %f2, %f1;\n    mov", "add.f32 %f2, %f2, %f1;\n    mov"),)),
        Fault("a step too far", "out of bounds", (("%r1, 700", "%r1, 701"),)),
        Fault("the last chunk lost", "bits", (("add.rn.f32 %f2, %f2, %f1;\n    st", "st"),)),
    ),
    block=1,
)
