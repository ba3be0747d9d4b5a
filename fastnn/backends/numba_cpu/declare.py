"""What makes a kernel of a body: one LLVM function a dtype, which Numba code calls like a function.

`kernels.py` compiles them all, once: Numba would optimise a body again in every caller that it is linked to.

A kernel is declared by the names of its arguments. A plain name is a size or stride, an int64; `*name` is the address
of reals, `int64*name` that of other numbers; names behind a semicolon are reals. Numba code passes an address as an
int64, too, and first a number of the dtype: `decay_step(dtype, theta, theta, n, factor)`, or by name. The body
gets the frame and a named tuple of Integers, Pointers and scalar Values.
"""

from __future__ import annotations

import inspect
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .frame import Frame, Function
from .integers import Integer, Pointer
from .lanes import FLOATS, I64, SUFFIX, Traced

Arguments = Any  # the named tuple of a kernel
Body = Callable[[Frame, Arguments], Traced | None]


class Kernel:
    """The definition of a kernel: `define` writes its function into a module once, `function` is what is called.

    Args:
        result: "void", or "int64" or "float64", which the body gives.
    """

    def __init__(self, name: str, arguments: str, body: Body, result: str = "void") -> None:
        integers, _, scalars = arguments.partition(";")
        self.name, self.body, self.result = name, body, result
        self._kinds = [word.rpartition("*")[:2] for word in integers.split()]
        names = [word.rpartition("*")[2] for word in integers.split()]
        self._scalars = len(scalars.split())
        self.arguments = namedtuple(f"arguments_of_{name}", names + scalars.split())  # type: ignore[misc]
        self.function: Function = self._intrinsic()
        self.function.kernel = self

    def declare(self, module: Any, dtype: str) -> Any:
        symbol = f"fnn_{self.name}_{SUFFIX[dtype]}"
        if symbol in module.globals:
            return module.globals[symbol]
        returned = {"void": ir.VoidType(), "int64": I64, "float64": ir.DoubleType()}[self.result]
        type_ = ir.FunctionType(returned, [I64] * len(self._kinds) + [FLOATS[dtype]] * self._scalars)
        function = ir.Function(module, type_, symbol)
        function.attributes.add("noinline")
        function.attributes.add("nounwind")
        return function

    def define(self, module: Any, dtype: str) -> Any:
        function = self.declare(module, dtype)
        if function.is_declaration:
            f = Frame(ir.IRBuilder(function.append_basic_block("entry")), dtype)
            made = self.body(f, self.arguments(*self._traced(f, function.args)))
            if self.result == "void":
                f.builder.ret_void()
            else:
                f.builder.ret(made.ir)
        return function

    def _traced(self, f: Frame, values: Sequence[Any]) -> list[Traced]:
        count = len(self._kinds)
        traced: list[Traced] = [
            Pointer(f.lanes, value, kind or f.dtype) if star else Integer(f.builder, value)
            for (kind, star), value in zip(self._kinds, values[:count], strict=True)
        ]
        return traced + [f.scalar.value(value) for value in values[count:]]

    def _intrinsic(self) -> Any:
        def call(typing: Any, dtype: Any, *arguments: Any, **named: Any) -> Any:
            name = str(dtype)
            returned = {"void": types.void, "int64": types.intp, "float64": types.float64}[self.result]
            signature = returned(dtype, *[types.intp] * len(self._kinds), *[dtype] * self._scalars)

            def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                made = builder.call(self.declare(builder.module, name), values[1:])
                return context.get_dummy_value() if self.result == "void" else made

            return signature, generate

        # Numba binds arguments by an explicit signature only.
        names = ("typing", "dtype", *self.arguments._fields)
        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return intrinsic(call)


KERNELS: list[Kernel] = []


def declare(name: str, arguments: str, body: Body, result: str = "void") -> Function:
    """Declares a kernel; gives what Numba code calls."""
    KERNELS.append(Kernel(name, arguments, body, result))
    return KERNELS[-1].function


def kernel(arguments: str, result: str = "void") -> Callable[[Body], Function]:
    """Declares the decorated body as the kernel of its name."""
    return lambda body: declare(body.__name__, arguments, body, result)


def choose(name: str, arguments: str, bodies: Sequence[Body]) -> Function:
    """Declares a kernel whose first argument, `code`, chooses among bodies that share the others; each body is a
    function of its own."""
    members = [Kernel(f"{name}_{code}", arguments, body) for code, body in enumerate(bodies)]

    def body(f: Frame, a: Arguments) -> None:
        done = f.builder.append_basic_block("done")
        switch = f.builder.switch(a.code.ir, done)
        for code, member in enumerate(members):
            block = f.builder.append_basic_block(f"code_{code}")
            switch.add_case(I64(code), block)
            with f.builder.goto_block(block):
                f.call(member.function, *a[1:])
                f.builder.branch(done)
        f.builder.position_at_end(done)

    return declare(name, f"code {arguments}", body)
