"""How an instruction of PTX becomes C: one function an opcode, in rules_*.py; a modifier that none takes is refused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from .ptx import Instruction, Name, Operand, Refused, width

CONTRACTED = "without .rn the assembler may fuse it with a product: the bits are not fixed"


class Code(Protocol):
    """The function under translation, as instructions see it."""

    def register(self, name: Name) -> tuple[str, str]:
        """The C name and the type of a register."""

    def value(self, operand: Operand, type_: str) -> str:
        """A C expression of an operand, read as a type."""

    def address(self, operand: Operand) -> str:
        """A C expression (u64) of an address."""

    def parameter(self, operand: Operand) -> str:
        """A C pointer into the parameters."""

    def label(self, name: str) -> tuple[str, bool]:
        """The C label, and whether it lies behind this instruction."""

    def site(self, instruction: Instruction) -> int:
        """The number under which faults report an instruction."""


class Modifiers:
    """The words after an opcode's first; each must be taken by somebody."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def take(self, *choices: str) -> str:
        """The first of the words that is one of the choices, or the empty string."""
        for word in self.words:
            if word in choices:
                self.words.remove(word)
                return word
        return ""

    def take_begins(self, *beginnings: str) -> None:
        self.words = [w for w in self.words if not w.startswith(beginnings)]

    def types(self, n: int = 1) -> list[str]:
        """The n types at the end."""
        found = self.words[-n:]
        if len(found) < n:
            raise Refused("lacks a type")
        for type_ in found:
            if type_ != "pred":
                width(type_)
        del self.words[-n:]
        return found

    def type(self) -> str:
        return self.types()[0]


Rule = Callable[[Code, Instruction, Modifiers], str]
RULES: dict[str, Rule] = {}


def rule(*opcodes: str) -> Callable[[Rule], Rule]:
    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(opcodes, function))
        return function

    return add


def statement(code: Code, instruction: Instruction) -> str:
    """The C of one instruction, its guard included.

    Raises:
        Refused: an instruction, modifier or operand that is not known.
    """
    name, *words = instruction.opcode.split(".")
    with said_where(instruction):
        if name not in RULES:
            raise Refused("the emulated card does not know this instruction")
        for word in words:
            if word in ("ftz", "approx", "full"):
                raise Refused(f".{word} is not exact: no two cards need give the same bits")
        modifiers = Modifiers(words)
        made = RULES[name](code, instruction, modifiers)
        if modifiers.words:
            raise Refused(f"modifier .{modifiers.words[0]} is not known here")
        if instruction.guard:
            made = f"if ({code.value(instruction.guard, 'pred')}) {{ {made} }}"
    return made


@contextmanager
def said_where(instruction: Instruction) -> Iterator[None]:
    try:
        yield
    except Refused as error:
        if str(error).startswith("line "):
            raise
        raise Refused(f"line {instruction.line}: {instruction.text}: {error}") from None
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        raise Refused(f"line {instruction.line}: {instruction.text}: operands not understood ({error})") from error


def unsigned(type_: str) -> str:
    return f"u{width(type_)}"


def number(type_: str) -> str:
    """The C type in which a value of a PTX type is computed."""
    return "b" if type_ == "pred" else type_ if type_[0] in "sf" else unsigned(type_)


def assign(code: Code, target: Operand, type_: str, expression: str, wider: bool = False) -> str:
    """target = expression, a value of a type; into a wider register only where PTX says so, extended by sign."""
    if not isinstance(target, Name):
        raise Refused("a register was expected")
    if target.text == "_":
        return f"(void)({expression});"
    name, held = code.register(target)
    if type_ == "pred" or held == "pred":
        if type_ != held:
            raise Refused(f"a {held} register cannot hold a .{type_}")
        return f"{name} = ({expression}) != 0;"
    if width(held) < width(type_) or (width(held) > width(type_) and not wider):
        raise Refused(f"a {held} register cannot hold a .{type_}")
    if type_[0] == "f":
        return f"{name} = bits_{type_}({expression});"
    if width(held) > width(type_) and type_[0] == "s":
        return f"{name} = ({unsigned(held)})(s64)({type_})({expression});"
    return f"{name} = ({unsigned(type_)})({expression});"


def exact(modifiers: Modifiers, type_: str) -> None:
    if type_[0] == "f" and not modifiers.take("rn"):
        other = modifiers.take("rz", "rm", "rp")
        raise Refused(f"rounding .{other} is not emulated" if other else CONTRACTED)
