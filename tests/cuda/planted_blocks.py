"""Faults within a block: of barriers, of shared memory, of addresses."""

import numpy as np

from emulated_card.raw import program
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
