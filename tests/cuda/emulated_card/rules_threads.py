"""What threads do together, and where they go."""

from .instructions import Code, Modifiers, assign, rule
from .ptx import Instruction, Name, Pair, Refused, width

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
        which, p = code.value(number_, "u32"), code.value(rest[-1], "pred")
        got = f"barrier_reduce(me, {site}, {which}, {count}, {p}, REDUCE_{name.upper()})"
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
    return assign(
        code, i.operands[0], t, f"reduce_warp(me, {code.site(i)}, REDUX_{mode}, {int(t[0] == 's')}, {a}, {mask})"
    )


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
