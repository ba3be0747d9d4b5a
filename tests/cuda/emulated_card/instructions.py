"""What each PTX instruction does, as C: one function an opcode. A modifier that a function does not take is refused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from .ptx import Address, Instruction, Integer, Name, Operand, Pair, Real, Refused, Vector, width

SPACES = ("global", "shared", "local", "const", "param")
SCOPES = ("cta", "cluster", "gpu", "sys")
ROUND_TO_INTEGER = {"rni": "rint", "rzi": "trunc", "rmi": "floor", "rpi": "ceil"}
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


# Arithmetic.


@rule("add", "sub", "mul", "div", "rem", "mad")
def arithmetic(code: Code, i: Instruction, m: Modifiers) -> str:
    name = i.opcode.split(".")[0]
    t = m.type()
    target, *rest = i.operands
    if t[0] == "f":
        if name not in ("add", "sub", "mul", "div"):
            raise Refused("not for floating point; write fma.rn")
        exact(m, t)
        a, b = (code.value(x, t) for x in rest)
        return assign(code, target, t, f"{a} {'+-*/'[('add', 'sub', 'mul', 'div').index(name)]} {b}")
    carry = m.take("cc")
    c = number(t)
    if name in ("add", "sub"):
        a, b = (code.value(x, t) for x in rest)
        sign = "+" if name == "add" else "-"
        if carry:
            if name != "add":
                raise Refused("sub.cc is not emulated")
            return f"{{ {unsigned(t)} a_ = {a}, s_ = a_ + ({unsigned(t)}){b}; carry = s_ < a_; {assign(code, target, t, 's_')} }}"
        return assign(code, target, t, f"({unsigned(t)}){a} {sign} ({unsigned(t)}){b}")
    if name in ("div", "rem"):
        a, b = (code.value(x, t) for x in rest)
        return assign(code, target, t, f"{'divide' if name == 'div' else 'remainder'}_{c}({a}, {b})")
    part = m.take("lo", "hi", "wide")
    a, b = (code.value(x, t) for x in rest[:2])
    if part == "wide":
        big = f"{number(t)[0]}{2 * width(t)}"
        product = f"({big}){a} * ({big}){b}"
        if name == "mad":
            product = f"({unsigned(big)})({product}) + ({unsigned(big)}){code.value(rest[2], big)}"
        return assign(code, target, big, product)
    if part == "hi":
        product = f"high_{c}({a}, {b})"
    elif part == "lo":
        product = f"({unsigned(t)})((u64){a} * (u64){b})"
    else:
        raise Refused("one of .lo, .hi, .wide is needed")
    if name == "mad":
        product = f"({unsigned(t)}){product} + ({unsigned(t)}){code.value(rest[2], t)}"
    return assign(code, target, t, product)


@rule("addc")
def add_with_carry(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    again = m.take("cc")
    u = unsigned(t)
    a, b = (code.value(x, t) for x in i.operands[1:])
    keep = f"carry = (unsigned __int128)({u})({a}) + ({u})({b}) + carry > ({u})-1;" if again else ""
    return f"{{ {u} s_ = ({u}){a} + ({u}){b} + carry; {keep} {assign(code, i.operands[0], t, 's_')} }}"


@rule("fma")
def fused(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    exact(m, t)
    return assign(code, i.operands[0], t, f"fused_{t}({', '.join(code.value(x, t) for x in i.operands[1:])})")


@rule("sqrt", "rcp")
def root(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    exact(m, t)
    x = code.value(i.operands[1], t)
    return assign(code, i.operands[0], t, f"root_{t}({x})" if i.opcode.startswith("sqrt") else f"({t})1 / {x}")


@rule("neg", "abs")
def sign(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    name = i.opcode.split(".")[0]
    x = code.value(i.operands[1], t)
    if t[0] == "f":
        return assign(code, i.operands[0], t, f"-{x}" if name == "neg" else f"absolute_{t}({x})")
    if t[0] != "s":
        raise Refused("signed integers only")
    u = unsigned(t)
    return assign(code, i.operands[0], t, f"-({u}){x}" if name == "neg" else f"{x} < 0 ? -({u}){x} : ({u}){x}")


@rule("min", "max")
def extreme(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    name = i.opcode.split(".")[0]
    a, b = (code.value(x, t) for x in i.operands[1:])
    if t[0] == "f":
        return assign(code, i.operands[0], t, f"{'nan_' if m.take('NaN') else ''}{name}_{t}({a}, {b})")
    return assign(code, i.operands[0], t, f"{a} {'<' if name == 'min' else '>'} {b} ? {a} : {b}")


@rule("copysign")
def copy_sign(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    u = unsigned(t)
    mask = f"(({u})1 << {width(t) - 1})"
    a, b = (code.value(x, u) for x in i.operands[1:])
    return assign(code, i.operands[0], u, f"({a} & {mask}) | ({b} & ~{mask})")


@rule("testp")
def test_property(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    kind = m.take("finite", "infinite", "number", "notanumber", "normal", "subnormal")
    return assign(code, i.operands[0], "pred", f"is_{kind}_{t}({code.value(i.operands[1], t)})")


# Bits.


@rule("and", "or", "xor")
def logic(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    sign = {"and": "&", "or": "|", "xor": "^"}[i.opcode.split(".")[0]]
    return assign(code, i.operands[0], t, f" {sign} ".join(code.value(x, t) for x in i.operands[1:]))


@rule("not")
def invert(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    return assign(code, i.operands[0], t, f"{'!' if t == 'pred' else '~'}{code.value(i.operands[1], t)}")


@rule("cnot")
def logical_not(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    return assign(code, i.operands[0], t, f"{code.value(i.operands[1], t)} == 0")


@rule("shl", "shr")
def shift(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    a, n, w = code.value(i.operands[1], t), code.value(i.operands[2], "u32"), width(t)
    if i.opcode.startswith("shl"):
        return assign(code, i.operands[0], t, f"{n} >= {w} ? 0 : ({unsigned(t)}){a} << {n}")
    beyond = f"{a} >> {w - 1}" if t[0] == "s" else "0"
    return assign(code, i.operands[0], t, f"{n} >= {w} ? {beyond} : {a} >> {n}")


@rule("shf")
def funnel(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    way, over = m.take("l", "r"), m.take("clamp", "wrap")
    low, high, n = (code.value(x, "u32") for x in i.operands[1:])
    n = f"({n} & 31)" if over == "wrap" else f"({n} > 32 ? 32 : {n})"
    both = f"((u64){high} << 32 | {low})"
    return assign(code, i.operands[0], t, f"{both} >> {n}" if way == "r" else f"({both} << {n}) >> 32")


@rule("bfe")
def extract(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    a, at, n = code.value(i.operands[1], t), *(code.value(x, "u32") for x in i.operands[2:])
    return assign(code, i.operands[0], t, f"extract_{number(t)}({a}, {at}, {n})")


@rule("bfi")
def insert(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    a, b = (code.value(x, t) for x in i.operands[1:3])
    at, n = (code.value(x, "u32") for x in i.operands[3:])
    return assign(code, i.operands[0], t, f"insert_{unsigned(t)}({a}, {b}, {at}, {n})")


@rule("clz", "popc", "brev", "bfind")
def count_bits(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    name = i.opcode.split(".")[0]
    result = t if name == "brev" else "u32"
    kind = number(t) if name == "bfind" else unsigned(t)
    return assign(code, i.operands[0], result, f"{name}_{kind}({code.value(i.operands[1], t)})")


@rule("lop3")
def logic3(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    *names, table = i.operands[1:]
    if not isinstance(table, Integer):
        raise Refused("the table of lop3 is a constant")
    a, b, c = (code.value(x, t) for x in names)
    terms = [
        " & ".join(f"{'' if k >> s & 1 else '~'}{x}" for s, x in ((2, a), (1, b), (0, c)))
        for k in range(8)
        if table.value >> k & 1
    ]
    return assign(code, i.operands[0], t, " | ".join(f"({x})" for x in terms) or "0")


@rule("prmt")
def permute(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    a, b, c = (code.value(x, "u32") for x in i.operands[1:])
    return assign(code, i.operands[0], t, f"permute({a}, {b}, {c})")


# Comparison and choice.

ORDER = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "lo": "<", "ls": "<=", "hi": ">", "hs": ">="}


def comparison(name: str, t: str, a: str, b: str) -> str:
    if t[0] != "f":
        if name in ("lo", "ls", "hi", "hs") and t[0] == "s":
            raise Refused(f".{name} compares unsigned integers")
        if t[0] == "b" and name not in ("eq", "ne"):
            raise Refused(f"bits have no order .{name}")
        return f"({a} {ORDER[name]} {b})"
    number_, nan = f"({a} == {a} && {b} == {b})", f"({a} != {a} || {b} != {b})"
    if name in ("num", "nan"):
        return number_ if name == "num" else nan
    if name in ("equ", "neu", "ltu", "leu", "gtu", "geu"):
        return f"({nan} || {a} {ORDER[name[:-1]]} {b})"
    if name in ("lo", "ls", "hi", "hs"):
        raise Refused(f".{name} compares unsigned integers")
    return f"({number_} && {a} {ORDER[name]} {b})"


COMPARISONS = (*ORDER, "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan")


@rule("setp", "set")
def compare(code: Code, i: Instruction, m: Modifiers) -> str:
    is_set = i.opcode.startswith("set.")
    result, t = m.types(2) if is_set else ("pred", m.type())
    name, joined = m.take(*COMPARISONS), m.take("and", "or", "xor")
    target, a, b, *more = i.operands
    test = comparison(name, t, code.value(a, t), code.value(b, t))
    sign = {"and": "&", "or": "|", "xor": "^"}.get(joined, "")

    def combined(test: str) -> str:
        return f"({test}) {sign} ({code.value(more[0], 'pred')})" if joined else test

    if is_set:
        if result[0] == "f":
            return assign(code, target, result, f"({combined(test)}) ? ({result})1 : ({result})0")
        return assign(code, target, result, f"({combined(test)}) ? -1 : 0")
    if isinstance(target, Pair):
        made = f"b t_ = {combined(test)}, f_ = {combined(f'!{test}')};"
        first, second = (assign(code, x, "pred", v) for x, v in ((target.first, "t_"), (target.second, "f_")))
        return f"{{ {made} {first} {second} }}"
    return assign(code, target, "pred", combined(test))


@rule("selp")
def select(code: Code, i: Instruction, m: Modifiers) -> str:
    t = unsigned(m.type())
    a, b = (code.value(x, t) for x in i.operands[1:3])
    return assign(code, i.operands[0], t, f"{code.value(i.operands[3], 'pred')} ? {a} : {b}")


# Moves and conversions.


@rule("mov")
def move(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    target, source = i.operands
    if t == "pred":
        return assign(code, target, t, code.value(source, t))
    t = unsigned(t)
    if isinstance(source, Vector):
        part = width(t) // len(source.parts)
        pieces = [f"({t}){code.value(x, f'u{part}')} << {part * k}" for k, x in enumerate(source.parts)]
        return assign(code, target, t, " | ".join(pieces))
    if isinstance(target, Vector):
        part = width(t) // len(target.parts)
        taken = "".join(
            assign(code, x, f"u{part}", f"whole_ >> {part * k}") for k, x in enumerate(target.parts)
        )
        return f"{{ {t} whole_ = {code.value(source, t)}; {taken} }}"
    return assign(code, target, t, code.value(source, t))


@rule("cvt")
def convert(code: Code, i: Instruction, m: Modifiers) -> str:
    to, of = m.types(2)
    target, source = i.operands
    rounding = m.take("rn", "rz", "rm", "rp", *ROUND_TO_INTEGER)
    saturated = m.take("sat")
    if to[0] != "f":
        x = code.value(source, of)
        if of[0] == "f":
            if rounding not in ROUND_TO_INTEGER:
                raise Refused("a rounding to integer is needed")
            x = f"{to.replace('b', 'u')}_of_{of}({ROUND_TO_INTEGER[rounding]}_{of}({x}))"
        elif saturated:
            x = f"{to}_saturated({'(s64)' if of[0] == 's' else '(u64)'}{x}, {int(of[0] == 's')})"
        return assign(code, target, to, x, wider=True)
    x = code.value(source, of)
    if of[0] != "f":
        if rounding != "rn":
            raise Refused("integers become floats by .rn only")
    elif to == of and rounding in ROUND_TO_INTEGER:
        x = f"{ROUND_TO_INTEGER[rounding]}_{of}({x})"
    elif width(to) < width(of):
        if rounding != "rn":
            raise Refused("narrowing by .rn only")
    elif rounding:
        raise Refused(f"rounding .{rounding} has no meaning here")
    if saturated:
        x = f"saturated_{to}(({to}){x})"
    return assign(code, target, to, f"({to}){x}")


@rule("cvta")
def convert_address(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    back, space = m.take("to"), m.take("global", "shared", "local", "const")
    a = code.value(i.operands[1], t)
    if space == "shared":
        a = f"{a} {'-' if back else '+'} SHARED_WINDOW"
    return assign(code, i.operands[0], t, a)


@rule("isspacep")
def is_in_space(code: Code, i: Instruction, m: Modifiers) -> str:
    space = m.take("global", "shared", "local")
    return assign(code, i.operands[0], "pred", f"is_{space}(me, {code.value(i.operands[1], 'u64')})")


# Memory.


def order(m: Modifiers, default_scope: str = "sys") -> list[str]:
    """The flags of an access by its ordering and scope."""
    word = m.take("weak", "relaxed", "acquire", "release", "acq_rel", "volatile")
    scope = m.take(*SCOPES) or default_scope
    flags = [] if word in ("", "weak") else ["STRONG", f"SCOPE_{scope.upper()}"]
    if word in ("acquire", "acq_rel"):
        flags.append("ACQUIRE")
    if word in ("release", "acq_rel"):
        flags.append("RELEASE")
    return flags


def place(code: Code, i: Instruction, space: str, address: Operand, n: int, flags: list[str]) -> str:
    return f"u8 *at_ = access_{space or 'generic'}(me, {code.site(i)}, {code.address(address)}, {n}, {'|'.join(flags)});"


def hints(m: Modifiers) -> None:
    """Words about caches, which change no value."""
    m.take("ca", "cg", "cs", "lu", "cv", "wb", "wt")
    m.take_begins("L1::", "L2::")


@rule("ld", "ldu")
def load(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    vector = int((m.take("v2", "v4") or "v1")[1:])
    flags = ["READ", *order(m)]
    space = m.take(*SPACES)
    if m.take("nc") or i.opcode.startswith("ldu"):
        flags.append("CONSTANT")
    hints(m)
    m.take("shared::cta")
    target, address = i.operands
    targets = target.parts if isinstance(target, Vector) else (target,)
    if len(targets) != vector:
        raise Refused("as many registers as elements are needed")
    n = width(t) // 8
    if space == "param":
        begin = f"const u8 *at_ = {code.parameter(address)};"
    else:
        begin = place(code, i, "global" if space == "const" else space, address, n * vector, flags)
    kind = t if t[0] == "s" else unsigned(t)
    taken = "".join(
        assign(code, x, kind, f"*({kind} *)(at_ + {n * k})", wider=True) for k, x in enumerate(targets)
    )
    return f"{{ {'turn(me); ' if 'STRONG' in flags else ''}{begin} {taken} }}"


@rule("st")
def store(code: Code, i: Instruction, m: Modifiers) -> str:
    t = unsigned(m.type())
    vector = int((m.take("v2", "v4") or "v1")[1:])
    flags = ["WRITE", *order(m)]
    space = m.take("global", "shared", "local", "param")
    hints(m)
    address, source = i.operands
    sources = source.parts if isinstance(source, Vector) else (source,)
    if len(sources) != vector:
        raise Refused("as many registers as elements are needed")
    n = width(t) // 8
    if space == "param":
        begin = f"u8 *at_ = (u8 *){code.parameter(address)};"
    else:
        begin = place(code, i, space, address, n * vector, flags)
    put = "".join(f"*({t} *)(at_ + {n * k}) = {code.value(x, t)};" for k, x in enumerate(sources))
    return f"{{ {'turn(me); ' if 'STRONG' in flags else ''}{begin} {put} }}"


@rule("prefetch", "prefetchu")
def prefetch(code: Code, i: Instruction, m: Modifiers) -> str:
    m.take("global", "local")
    m.take("L1", "L2")
    return ";"


@rule("atom", "red")
def atomic(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    flags = ["READ", "WRITE", "ATOMIC", *(order(m, "gpu") or ["STRONG", f"SCOPE_{(m.take(*SCOPES) or 'gpu').upper()}"])]
    space = m.take("global", "shared")
    name = m.take("add", "exch", "cas", "inc", "dec", "max", "min", "or", "and", "xor")
    if t[0] == "f":
        raise Refused("the order of a floating-point atomic is not fixed, and so are its bits")
    target, address, *values = i.operands if i.opcode.startswith("atom") else (Name("_"), *i.operands)
    c = number(t)
    x = [code.value(v, t) for v in values]
    new = {
        "add": lambda: f"({unsigned(t)})old_ + ({unsigned(t)}){x[0]}",
        "exch": lambda: x[0],
        "cas": lambda: f"old_ == {x[0]} ? {x[1]} : old_",
        "inc": lambda: f"old_ >= {x[0]} ? 0 : old_ + 1",
        "dec": lambda: f"old_ == 0 || old_ > {x[0]} ? {x[0]} : old_ - 1",
        "max": lambda: f"old_ > {x[0]} ? old_ : {x[0]}",
        "min": lambda: f"old_ < {x[0]} ? old_ : {x[0]}",
        "or": lambda: f"old_ | {x[0]}",
        "and": lambda: f"old_ & {x[0]}",
        "xor": lambda: f"old_ ^ {x[0]}",
    }[name]()
    begin = place(code, i, space, address, width(t) // 8, flags)
    move_ = f"{c} old_ = *({c} *)at_, new_ = {new}; moved(old_ != new_); *({c} *)at_ = new_;"
    return f"{{ turn(me); {begin} {move_} {assign(code, target, t, 'old_')} }}"


@rule("membar", "fence")
def fence(code: Code, i: Instruction, m: Modifiers) -> str:
    m.take("sc", "acq_rel")
    scope = m.take(*SCOPES, "gl")
    if not scope:
        raise Refused("a fence needs a scope")
    return f"fence(me, {code.site(i)}, SCOPE_{'GPU' if scope == 'gl' else scope.upper()});"


@rule("cp")
def copy(code: Code, i: Instruction, m: Modifiers) -> str:
    if not m.take("async"):
        raise Refused("only cp.async is known")
    site = code.site(i)
    if m.take("commit_group"):
        return "copy_commit(me);"
    if m.take("wait_all"):
        return f"copy_commit(me); copy_wait(me, {site}, 0);"
    if m.take("wait_group"):
        return f"copy_wait(me, {site}, {code.value(i.operands[0], 'u32')});"
    cache = m.take("ca", "cg")
    if not (m.take("shared") or m.take("shared::cta")) or not m.take("global"):
        raise Refused("copies go from global to shared memory")
    hints(m)
    to, of, size, *least = i.operands
    if not isinstance(size, Integer) or size.value not in ((16,) if cache == "cg" else (4, 8, 16)):
        raise Refused("16 bytes, or with .ca 4 or 8")
    read = code.value(least[0], "u32") if least else str(size.value)
    return f"copy_begin(me, {site}, {code.address(to)}, {code.address(of)}, {size.value}, {read});"


# Threads together.


@rule("bar", "barrier")
def barrier(code: Code, i: Instruction, m: Modifiers) -> str:
    site = code.site(i)
    if m.take("warp"):
        m.take("sync")
        return f"warp_barrier(me, {site}, {code.value(i.operands[0], 'u32')});"
    aligned = m.take("aligned") or i.opcode.startswith("bar.")
    m.take("cta")
    kind = m.take("sync", "arrive", "red")
    if kind == "red":
        name, t = m.take("popc", "and", "or"), m.type()
        target, number_, *rest = i.operands
        count = code.value(rest[0], "u32") if len(rest) == 2 else "0"
        got = f"barrier_reduce(me, {site}, {code.value(number_, 'u32')}, {count}, {code.value(rest[-1], 'pred')}, REDUCE_{name.upper()})"
        return assign(code, target, t, got)
    if not kind:
        raise Refused("barriers of a block only")
    number_, *rest = i.operands
    count = code.value(rest[0], "u32") if rest else "0"
    wait = "barrier_arrive" if kind == "arrive" else "barrier_wait"
    return f"{wait}(me, {site}, {code.value(number_, 'u32')}, {count}, {int(bool(aligned))});"


@rule("shfl")
def shuffle(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    if not m.take("sync"):
        raise Refused("shuffles without a mask are gone")
    mode = m.take("up", "down", "bfly", "idx").upper()
    target, *rest = i.operands
    a, lane, clamp, mask = (code.value(x, "u32") for x in rest)
    got = f"b in_; u32 got_ = shuffle(me, {code.site(i)}, SHUFFLE_{mode}, {a}, {lane}, {clamp}, {mask}, &in_);"
    if isinstance(target, Pair):
        put = assign(code, target.first, t, "got_") + assign(code, target.second, "pred", "in_")
    else:
        put = assign(code, target, t, "got_")
    return f"{{ {got} {put} }}"


@rule("vote")
def vote(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    if not m.take("sync"):
        raise Refused("votes without a mask are gone")
    mode = m.take("all", "any", "uni", "ballot").upper()
    p, mask = code.value(i.operands[1], "pred"), code.value(i.operands[2], "u32")
    return assign(code, i.operands[0], t, f"vote(me, {code.site(i)}, VOTE_{mode}, {p}, {mask})")


@rule("redux")
def reduce_warp(code: Code, i: Instruction, m: Modifiers) -> str:
    t = m.type()
    if not m.take("sync") or width(t) != 32 or t[0] == "f":
        raise Refused("redux.sync of 32-bit integers only")
    mode = m.take("add", "min", "max", "and", "or", "xor").upper()
    a, mask = code.value(i.operands[1], "u32"), code.value(i.operands[2], "u32")
    return assign(code, i.operands[0], t, f"reduce_warp(me, {code.site(i)}, REDUX_{mode}, {int(t[0] == 's')}, {a}, {mask})")


@rule("nanosleep")
def sleep(code: Code, i: Instruction, m: Modifiers) -> str:
    m.type()
    return "turn(me);"


# Control.


@rule("bra")
def branch(code: Code, i: Instruction, m: Modifiers) -> str:
    m.take("uni")
    (target,) = i.operands
    if not isinstance(target, Name):
        raise Refused("a label was expected")
    label, behind = code.label(target.text)
    return f"{f'again(me, {code.site(i)}); ' if behind else ''}goto {label};"


@rule("ret", "exit")
def leave(code: Code, i: Instruction, m: Modifiers) -> str:
    m.take("uni")
    return "return;" if i.opcode.startswith("ret") else "leave(me);"


@rule("trap")
def trap(code: Code, i: Instruction, m: Modifiers) -> str:
    return f"fault(me, {code.site(i)}, TRAP, 0);"


@rule("pragma")
def pragma(code: Code, i: Instruction, m: Modifiers) -> str:
    return ";"


__all__ = ["Address", "Code", "Real", "statement"]
