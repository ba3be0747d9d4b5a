"""A kernel and its arrays, for tests of the stand-in for the driver."""

import ctypes

import numpy as np

from emulated_card.raw import Array, Buffer, Card, program

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
