"""Faults between blocks: of releases, acquires and fences, of scopes, of a grid's own barrier, of residence."""

import numpy as np

from emulated_card.raw import program
from planted import Fault, N, Program

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
        Fault(
            "release and fence of the block",
            "race",
            (("st.release.gpu", "st.release.cta"), ("membar.gl;", "membar.cta;")),
        ),
        Fault(
            "fence of the block, release relaxed",
            "race",
            (("st.release.gpu", "st.relaxed.gpu"), ("membar.gl;", "fence.acq_rel.cta;")),
        ),
        Fault("acquire made relaxed", "race", (("ld.acquire.gpu", "ld.relaxed.gpu"),)),
        Fault("acquire made volatile", "race", (("ld.acquire.gpu", "ld.volatile"),)),
        Fault("acquire of the block", "race", (("ld.acquire.gpu", "ld.acquire.cta"),)),
        Fault("writer's barrier gone", "race", (("    bar.sync 0;\n", ""),)),
        Fault("reader's barrier gone", "race", (("    bar.sync 1;\n", ""),)),
        Fault(
            "flag before the data",
            "race",
            (
                ("st.global.u32 [%rd2], %r3;\n    bar.sync 0;", "bar.sync 0;"),
                ("    bra DONE;\nREADER", "    st.global.u32 [%rd2], %r3;\n    bra DONE;\nREADER"),
            ),
        ),
        Fault("flag never raised", "livelock", (("st.release.gpu.global.u32 [%a+1024], 1;", ""),)),
        Fault("not launched as cooperative", "not co-resident", orders=("backwards",), launch={"cooperative": False}),
        Fault("more blocks than are co-resident", "not co-resident", launch={"grid": 5}),
    ),
    grid=2,
    cooperative=True,
)
RELAXED = {  # what makes the relaxed accesses of the message right again
    "fences": (
        ("st.release.gpu", "st.relaxed.gpu"),
        ("ld.acquire.gpu", "ld.relaxed.gpu"),
        ("READ:\n", "    fence.acq_rel.gpu;\nREAD:\n"),
    ),
    "volatile and membar": (
        ("st.release.gpu", "st.volatile"),
        ("ld.acquire.gpu", "ld.volatile"),
        ("READ:\n", "    membar.gl;\nREAD:\n"),
    ),
    "release alone": (("membar.gl;", ""),),
}

# Each block passes its numbers to the next: rounds of read, barrier of the grid, write, barrier of the grid.
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
        Fault(
            "the count not atomic",
            "race",
            (
                (
                    "atom.release.gpu.global.add.u32 %r9, [%a], 1;",
                    "ld.global.u32 %r9, [%a]; add.u32 %r9, %r9, 1; st.global.u32 [%a], %r9;",
                ),
            ),
        ),
        Fault("the wait relaxed", "race", (("SPIN2:\n    ld.acquire.gpu", "SPIN2:\n    ld.relaxed.gpu"),)),
        Fault(
            "one block too few",
            "race",
            (
                ("SPIN1:\n", "    sub.u32 %r12, %r10, 1;\nSPIN1:\n"),
                ("setp.lt.u32 %p2, %r9, %r10;\n    @%p2 bra SPIN1", "setp.lt.u32 %p2, %r9, %r12;\n    @%p2 bra SPIN1"),
            ),
            orders=("backwards", "random"),
        ),
        Fault(
            "one block too many",
            "livelock",
            (
                ("SPIN1:\n", "    add.u32 %r12, %r10, 1;\nSPIN1:\n"),
                ("setp.lt.u32 %p2, %r9, %r10;\n    @%p2 bra SPIN1", "setp.lt.u32 %p2, %r9, %r12;\n    @%p2 bra SPIN1"),
            ),
        ),
        Fault("barrier of the block after the wait gone", "race", (("FIRST:\n    bar.sync 0;", "FIRST:"),)),
        Fault(
            "barrier of the block before the count gone",
            "race",
            (("st.global.u32 [%rd2], %r8;\n    bar.sync 0;", "st.global.u32 [%rd2], %r8;"),),
        ),
        Fault("not launched as cooperative", "not co-resident", launch={"cooperative": False}),
    ),
    grid=4,
    block=32,
    cooperative=True,
    filled=True,
)
