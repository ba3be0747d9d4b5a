"""PTX as data: what a parser makes of a text, and instructions are translated from."""

import re
from dataclasses import dataclass, field


class Refused(Exception):
    """PTX that the emulated card does not run: says which line, and why."""


@dataclass(frozen=True)
class Integer:
    value: int


@dataclass(frozen=True)
class Real:
    bits: int
    width: int


@dataclass(frozen=True)
class Name:
    """A register (with its %), a special register, a label or a variable."""

    text: str
    negated: bool = False


@dataclass(frozen=True)
class Vector:
    parts: tuple["Operand", ...]


@dataclass(frozen=True)
class Address:
    base: "Name | Integer"
    offset: int


@dataclass(frozen=True)
class Pair:
    """p|q: a value and a predicate, or two predicates."""

    first: Name
    second: Name


@dataclass(frozen=True)
class Group:
    """The parenthesised lists of a call."""

    parts: tuple["Operand", ...]


Operand = Integer | Real | Name | Vector | Address | Pair | Group


@dataclass(frozen=True)
class Instruction:
    opcode: str
    operands: tuple[Operand, ...]
    guard: Name | None
    line: int
    source: tuple[int, int]
    text: str


@dataclass(frozen=True)
class Label:
    name: str


@dataclass(frozen=True)
class Scope:
    """A nested block with registers of its own, as inline assembly writes them."""

    body: "Body"


@dataclass(frozen=True)
class Variable:
    space: str
    type: str
    name: str
    align: int
    count: int
    """Elements; 0: an extern array whose size the launch decides."""
    values: tuple[int | Real, ...] = ()

    @property
    def bytes(self) -> int:
        return width(self.type) // 8 * self.count


@dataclass
class Body:
    registers: dict[str, str] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)
    items: list[Instruction | Label | Scope] = field(default_factory=list)


@dataclass
class Function:
    name: str
    entry: bool
    results: list[Variable]
    parameters: list[Variable]
    bounds: dict[str, tuple[int, ...]]
    body: Body | None


@dataclass
class Module:
    version: str = ""
    target: str = ""
    variables: list[Variable] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    files: dict[int, str] = field(default_factory=dict)


def width(type_: str) -> int:
    """Bits of a type: u8 to f64."""
    found = re.fullmatch(r"[busf](8|16|32|64)", type_)
    if not found:
        raise Refused(f"type .{type_} is not known here")
    return int(found.group(1))
