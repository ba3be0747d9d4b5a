"""A module of PTX as one file of C for the emulated card."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import rules_arithmetic, rules_memory, rules_threads
from .instructions import said_where, statement
from .parser import parse
from .ptx import (
    Address,
    Body,
    Function,
    Group,
    Instruction,
    Integer,
    Label,
    Module,
    Name,
    Operand,
    Real,
    Refused,
    Scope,
    Variable,
    width,
)

# Each file of rules adds its own when it is imported.
RULES = (rules_arithmetic, rules_memory, rules_threads)
SHARED_BASE = 1024
"""Where a block's own shared memory begins: the card keeps the first bytes for itself."""
SPECIAL = {
    "laneid": "me->lane",
    "warpid": "(me->rank / 32)",
    "nwarpid": "((me->grid->threads + 31) / 32)",
    "smid": "me->block->multiprocessor",
    "nsmid": "me->grid->multiprocessors",
    "gridid": "0",
    "lanemask_eq": "(1u << me->lane)",
    "lanemask_lt": "((1u << me->lane) - 1)",
    "lanemask_le": "((2u << me->lane) - 1)",
    "lanemask_gt": "~((2u << me->lane) - 1)",
    "lanemask_ge": "~((1u << me->lane) - 1)",
    "dynamic_smem_size": "me->grid->dynamic_shared",
    "clock": "((u32)++me->grid->ticks)",
    "clock64": "(++me->grid->ticks)",
    "globaltimer": "(++me->grid->ticks)",
}
ARRAYS = {
    "tid": "me->tid",
    "ntid": "me->grid->block_size",
    "ctaid": "me->block->index",
    "nctaid": "me->grid->grid_size",
}


def c_name(prefix: str, name: str) -> str:
    return prefix + re.sub(r"\W", "_", name.lstrip("%"))


def c_type(type_: str) -> str:
    return "b" if type_ == "pred" else f"u{width(type_)}"


@dataclass
class Layout:
    """Where a module's variables lie, and what its faults report."""

    files: dict[int, str]
    shared: dict[str, int] = field(default_factory=dict)
    shared_bytes: int = SHARED_BASE
    globals: dict[str, int] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    sites: list[Instruction] = field(default_factory=list)

    def add_shared(self, variable: Variable) -> int:
        at = -(-self.shared_bytes // variable.align) * variable.align
        self.shared_bytes = at + variable.bytes
        return at


class FunctionCode:
    """One function on its way to C; what an instruction asks of it is the protocol of `instructions.Code`."""

    def __init__(self, function: Function, layout: Layout) -> None:
        self.function, self.layout = function, layout
        self.scopes: list[tuple[int, Body]] = []
        self.arrays: dict[str, str] = {}
        self.entry_parameters: dict[str, int] = {}
        self.scope_count = 0
        self.labels_seen: set[str] = set()
        at = 0
        for parameter in (*function.parameters, *function.results):
            if function.entry:
                at = -(-at // parameter.align) * parameter.align
                self.entry_parameters[parameter.name] = at
                at += parameter.bytes
            else:
                self.arrays[parameter.name] = c_name("p_", parameter.name)
        self.parameter_bytes = at

    # What instructions ask.

    def register(self, name: Name) -> tuple[str, str]:
        for number, body in reversed(self.scopes):
            if name.text in body.registers:
                return c_name(f"r{number}_", name.text), body.registers[name.text]
        raise Refused(f"register {name.text} was not declared")

    def value(self, operand: Operand, type_: str) -> str:
        if isinstance(operand, Integer):
            if type_[0] == "f":
                raise Refused("a float is written by its bits, 0f or 0d")
            if type_ == "pred":
                return str(int(operand.value != 0))
            return f"(({c_number(type_)}){operand.value & 0xFFFFFFFFFFFFFFFF}ull)"
        if isinstance(operand, Real):
            bits = f"0x{operand.bits:x}{'u' if operand.width == 32 else 'ull'}"
            if width(type_) != operand.width:
                raise Refused(f"a constant of {operand.width} bits as .{type_}")
            return f"as_{type_}({bits})" if type_[0] == "f" else f"(({c_number(type_)}){bits})"
        if not isinstance(operand, Name):
            raise Refused(f"operand {operand} where a value was expected")
        negation = "!" if operand.negated else ""
        if operand.text.startswith("%"):
            special = self.special(operand.text[1:])
            if special:
                return f"(({c_number(type_)}){special})"
            name, held = self.register(operand)
            if (type_ == "pred") != (held == "pred"):
                raise Refused(f"a {held} register read as .{type_}")
            if held != "pred" and width(held) < width(type_):
                raise Refused(f"a {held} register read as .{type_}")
            if type_ == "pred":
                return f"({negation}{name})"
            return f"as_{type_}({name})" if type_[0] == "f" else f"(({c_number(type_)}){name})"
        return f"(({c_number(type_)}){self.symbol(operand.text)})"

    def special(self, name: str) -> str:
        if name == "total_smem_size":
            return f"({self.layout.shared_bytes - SHARED_BASE} + me->grid->dynamic_shared)"
        array, _, axis = name.partition(".")
        if array in ARRAYS and axis in ("x", "y", "z"):
            return f"{ARRAYS[array]}[{'xyz'.index(axis)}]"
        if name in SPECIAL:
            return SPECIAL[name]
        if any(f"%{name}" in body.registers for _, body in self.scopes):
            return ""
        raise Refused(f"%{name} is no register, declared or special, that is known here")

    def symbol(self, name: str) -> str:
        if name in self.arrays:
            return f"(u64){self.arrays[name]}"
        if name in self.layout.shared:
            return str(self.layout.shared[name])
        if name in self.layout.globals:
            return f"global_at[{self.layout.globals[name]}]"
        raise Refused(f"{name} names no variable")

    def address(self, operand: Operand) -> str:
        if not isinstance(operand, Address):
            raise Refused("an address was expected")
        if isinstance(operand.base, Integer):
            return f"{operand.base.value + operand.offset}ull"
        if operand.base.text.startswith("%"):
            held = self.register(operand.base)[1]
            if width(held) == 32:
                return f"(u64)(u32)({self.value(operand.base, 'u32')} + {operand.offset})"
        return f"({self.value(operand.base, 'u64')} + {operand.offset})"

    def parameter(self, operand: Operand) -> str:
        if not isinstance(operand, Address) or not isinstance(operand.base, Name):
            raise Refused("a parameter is addressed by its name")
        name = operand.base.text
        if name in self.entry_parameters:
            return f"(me->grid->parameters + {self.entry_parameters[name] + operand.offset})"
        if name in self.arrays:
            return f"({self.arrays[name]} + {operand.offset})"
        raise Refused(f"{name} is no parameter")

    def label(self, name: str) -> tuple[str, bool]:
        for number, body in reversed(self.scopes):
            if any(isinstance(x, Label) and x.name == name for x in body.items):
                label = c_name(f"l{number}_", name)
                return label, label in self.labels_seen
        raise Refused(f"label {name} is not here")

    def site(self, instruction: Instruction) -> int:
        self.layout.sites.append(instruction)
        return len(self.layout.sites) - 1

    # The text.

    def signature(self) -> str:
        places = [f"u8 *{c_name('p_', p.name)}" for p in (*self.function.results, *self.function.parameters)]
        names = ", ".join([] if self.function.entry else places)
        return f"static void {c_name('f_', self.function.name)}(Thread *me{', ' + names if names else ''})"

    def lines(self) -> Iterator[str]:
        assert self.function.body is not None
        yield f"{self.signature()} {{"
        yield "u32 carry = 0; (void)carry;"
        yield from self.block(self.function.body)
        yield "}"

    def block(self, body: Body) -> Iterator[str]:
        number, self.scope_count = self.scope_count, self.scope_count + 1
        self.scopes.append((number, body))
        for name, type_ in body.registers.items():
            yield f"{c_type(type_)} {c_name(f'r{number}_', name)} = 0;"
        for variable in body.variables:
            if variable.space == "shared":
                self.layout.shared[variable.name] = self.layout.add_shared(variable)
            else:
                self.arrays[variable.name] = name = c_name("a_", variable.name)
                yield f"_Alignas({max(variable.align, 1)}) u8 {name}[{variable.bytes}];"
                yield f"memset({name}, 0xff, {variable.bytes});"
        for item in body.items:
            if isinstance(item, Scope):
                yield "{"
                yield from self.block(item.body)
                yield "}"
            elif isinstance(item, Label):
                label = c_name(f"l{number}_", item.name)
                self.labels_seen.add(label)
                yield f"{label}:;"
            elif item.opcode.split(".")[0] == "call":
                yield self.call(item)
            else:
                yield statement(self, item)
        self.scopes.pop()

    def call(self, instruction: Instruction) -> str:
        with said_where(instruction):
            names = [x for x in instruction.operands if isinstance(x, Name)]
            groups = [x for x in instruction.operands if isinstance(x, Group)]
            (callee,) = names
            if callee.text not in self.layout.functions:
                raise Refused(f"{callee.text} is not in this module: the emulated card has no library of its own")
            passed = [self.symbol(p.text) for g in groups for p in g.parts if isinstance(p, Name)]
            arguments = "".join(f", (u8 *)({p})" for p in passed)
            made = f"{c_name('f_', callee.text)}(me{arguments});"
            return f"if ({self.value(instruction.guard, 'pred')}) {made}" if instruction.guard else made


def c_number(type_: str) -> str:
    return type_ if type_[0] in "sf" else c_type(type_)


def string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def initial_bytes(variable: Variable) -> str:
    n = width(variable.type) // 8
    values = [v.bits if isinstance(v, Real) else v for v in variable.values]
    data = b"".join((v & (1 << 8 * n) - 1).to_bytes(n, "little") for v in values)
    return ", ".join(map(str, data.ljust(variable.bytes, b"\0"))) or "0"


def translate(text: str) -> str:
    """The C of a module.

    Raises:
        Refused: with the line, for what the emulated card does not run.
    """
    module = parse(text)
    layout = Layout(module.files)
    layout.functions = {f.name: f for f in module.functions if f.body is not None}
    static = [v for v in module.variables if v.space == "shared" and v.count]
    for variable in static:
        layout.shared[variable.name] = layout.add_shared(variable)
    for variable in module.variables:
        if variable.space != "shared":
            layout.globals[variable.name] = len(layout.globals)
    # Shared variables of functions come first, the launch's own array behind them: two passes, the first for the sizes.
    codes: list[FunctionCode] = []
    for final in (False, True):
        if final:
            end = -(-layout.shared_bytes // 16) * 16
            layout = again(layout, module, static, end)
        else:
            layout.shared.update({v.name: 0 for v in module.variables if v.space == "shared" and not v.count})
        codes = [FunctionCode(f, layout) for f in layout.functions.values()]
        bodies = [list(code.lines()) for code in codes]
    out = ['#include "card.h"', f"static u64 global_at[{len(layout.globals) or 1}];"]
    out += [f"{code.signature()};" for code in codes]
    for body in bodies:
        out += body
    return "\n".join([*out, *tables(module, layout, codes)]) + "\n"


def again(layout: Layout, module: Module, static: list[Variable], end: int) -> Layout:
    """A layout for the second pass: the same but for the end of static shared memory, now known."""
    fresh = Layout(layout.files, globals=layout.globals, functions=layout.functions)
    for variable in static:
        fresh.shared[variable.name] = fresh.add_shared(variable)
    fresh.shared.update({v.name: end for v in module.variables if v.space == "shared" and not v.count})
    return fresh


def tables(module: Module, layout: Layout, codes: list[FunctionCode]) -> Iterator[str]:
    """What the driver and the faults read: instructions, variables, kernels."""
    yield "static const Site sites[] = {"
    for x in layout.sites:
        number, line = x.source
        file = string(layout.files.get(number, "")) if line else '""'
        yield f"{{{x.line}, {line}, {file}, {string(x.text[:200])}}},"
    yield '{0, 0, "", ""}};'
    variables = [v for v in module.variables if v.space != "shared"]
    for k, v in enumerate(variables):
        if v.values:
            yield f"static const u8 data_{k}[] = {{{initial_bytes(v)}}};"
    yield "static const Variable variables[] = {"
    for k, v in enumerate(variables):
        data = f"data_{k}" if v.values else "0"
        yield f"{{{string(v.name)}, {v.bytes}, {v.align}, {data}, {int(v.space == 'const')}}},"
    yield "{0}};"
    entries = [code for code in codes if code.function.entry]
    for k, code in enumerate(entries):
        offsets = ", ".join(map(str, code.entry_parameters.values())) or "0"
        sizes = ", ".join(str(p.bytes) for p in code.function.parameters) or "0"
        yield f"static const u32 offsets_{k}[] = {{{offsets}}}, sizes_{k}[] = {{{sizes}}};"
    end = -(-layout.shared_bytes // 16) * 16
    yield "static const Kernel kernels[] = {"
    for k, code in enumerate(entries):
        f = code.function
        limit = f.bounds.get("reqntid") or f.bounds.get("maxntid") or (1024,)
        threads = 1
        for n in limit:
            threads *= n
        yield (
            f"{{{string(f.name)}, {c_name('f_', f.name)}, {len(f.parameters)}, {code.parameter_bytes}, "
            f"offsets_{k}, sizes_{k}, {end}, {threads}, {(f.bounds.get('minnctapersm') or (1,))[0]}}},"
        )
    yield "{0}};"
    target = re.sub(r"\D", "", module.target)
    yield (
        f"const Image image = {{kernels, {len(entries)}, variables, {len(variables)}, global_at, sites, "
        f"{len(layout.sites)}, {target or 0}}};"
    )
