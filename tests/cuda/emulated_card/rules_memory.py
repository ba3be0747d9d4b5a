"""Moves, conversions, memory and its ordering."""

from .instructions import Code, Modifiers, assign, number, rule, unsigned
from .ptx import Instruction, Integer, Name, Operand, Refused, Vector, width

SPACES = ("global", "shared", "local", "const", "param")
SCOPES = ("cta", "cluster", "gpu", "sys")
ROUND_TO_INTEGER = {"rni": "rint", "rzi": "trunc", "rmi": "floor", "rpi": "ceil"}


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
        taken = "".join(assign(code, x, f"u{part}", f"whole_ >> {part * k}") for k, x in enumerate(target.parts))
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
    return (
        f"u8 *at_ = access_{space or 'generic'}(me, {code.site(i)}, {code.address(address)}, {n}, {'|'.join(flags)});"
    )


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
    taken = "".join(assign(code, x, kind, f"*({kind} *)(at_ + {n * k})", wider=True) for k, x in enumerate(targets))
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
    if m.take("commit_group"):
        return "copy_commit(me);"
    if m.take("wait_all"):
        return "copy_commit(me); copy_wait(me, 0);"
    if m.take("wait_group"):
        return f"copy_wait(me, {code.value(i.operands[0], 'u32')});"
    cache = m.take("ca", "cg")
    if not (m.take("shared") or m.take("shared::cta")) or not m.take("global"):
        raise Refused("copies go from global to shared memory")
    hints(m)
    to, of, size, *least = i.operands
    if not isinstance(size, Integer) or size.value not in ((16,) if cache == "cg" else (4, 8, 16)):
        raise Refused("16 bytes, or with .ca 4 or 8")
    read = code.value(least[0], "u32") if least else str(size.value)
    return f"copy_begin(me, {code.site(i)}, {code.address(to)}, {code.address(of)}, {size.value}, {read});"
