"""Arithmetic, bits and comparisons."""

from .instructions import Code, Modifiers, assign, exact, number, rule, unsigned
from .ptx import Instruction, Integer, Pair, Refused, width

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
            u = unsigned(t)
            return f"{{ {u} a_ = {a}, s_ = a_ + ({u}){b}; carry = s_ < a_; {assign(code, target, t, 's_')} }}"
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

ORDER = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "lo": "<",
    "ls": "<=",
    "hi": ">",
    "hs": ">=",
}


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
