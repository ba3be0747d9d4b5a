"""Faults within a warp and a thread: of masks, of warps' barriers, of bytes and local memory."""

import numpy as np

from emulated_card.raw import program
from planted import Fault, N, Program

WARP_SUM = Program(
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
        Fault(
            "mask without the lane that is read",
            "warp mask",
            (
                (
                    "shfl.sync.bfly.b32 %r3, %r2, %r9, 31, -1;",
                    "setp.lt.u32 %p2, %r1, 16; @%p2 shfl.sync.bfly.b32 %r3, %r2, %r9, 31, 0xffff;",
                ),
            ),
        ),
        Fault(
            "masks that differ",
            "warp mask",
            (
                ("31, -1;", "31, %r8;"),
                ("mov.u32 %r9, 16;", "mov.u32 %r9, 16; setp.eq.u32 %p2, %r1, 3; selp.b32 %r8, 0x0fffffff, -1, %p2;"),
            ),
        ),
        Fault(
            "a lane that does not come",
            "deadlock",
            (
                (
                    "shfl.sync.bfly.b32 %r3, %r2, %r9, 31, -1;",
                    "and.b32 %r7, %r1, 31; setp.eq.u32 %p2, %r7, 5; @%p2 bar.sync 0; "
                    "@!%p2 shfl.sync.bfly.b32 %r3, %r2, %r9, 31, -1;",
                ),
            ),
        ),
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
        Fault(
            "a shuffle for a warp barrier", "race", (("bar.warp.sync -1;", "shfl.sync.idx.b32 %r9, %r2, 0, 31, -1;"),)
        ),
        Fault("warp barrier across warps", "race", (("xor.b32 %r5, %r1, 1;", "xor.b32 %r5, %r1, 32;"),)),
        Fault(
            "warp barrier of half a warp",
            "race",
            (
                (
                    "bar.warp.sync -1;",
                    "setp.lt.u32 %p1, %r1, 1; selp.b32 %r8, 1, -2, %p1; setp.gt.u32 %p2, %r1, 31; "
                    "selp.b32 %r8, -1, %r8, %p2; bar.warp.sync %r8;",
                ),
            ),
        ),
    ),
    block=64,
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
        Fault(
            "two threads write a byte",
            "race",
            (("add.s64 %rd3, %b, %rd1;", "shr.u64 %rd1, %rd1, 1; add.s64 %rd3, %b, %rd1;"),),
        ),
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
