"""Every instruction against what PTX's manual says of it, in exact arithmetic, on hard operands."""

import math
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest

from emulated_card.raw import Array, Card, CardError, program
from exact_bits import (
    FORMATS,
    Rule,
    chosen,
    comparing,
    divided,
    exact,
    fma,
    is_inf,
    is_nan,
    root,
    rounded,
    signed,
    to_integer,
)
from requires import instrument

instrument()


COUNT = 1500
M32 = 0xFFFFFFFF


def arithmetic(t: str) -> dict[str, Rule]:
    """The floating-point instructions of a type; {x}, {y}, {z} are registers, {d} is the result's, {p} a predicate."""
    f, one = fma(t), 0x3F800000 if t == "f32" else 0x3FF << 52
    top = 1 << (FORMATS[t][0] - 1)
    u, b = t.replace("f", "u"), t.replace("f", "b")
    select = f"selp.{u} {{d}}, 1, 0, {{p}};"
    nan = FORMATS[t][3]
    rules: dict[str, Rule] = {
        f"fma.rn.{t} {{d}}, {{x}}, {{y}}, {{z}};": f,
        f"add.rn.{t} {{d}}, {{x}}, {{y}};": lambda x, y, z: f(x, one, y),
        f"sub.rn.{t} {{d}}, {{x}}, {{y}};": lambda x, y, z: nan if is_nan(y, t) else f(x, one, y ^ top),
        f"mul.rn.{t} {{d}}, {{x}}, {{y}};": lambda x, y, z: f(x, y, (x ^ y) & top),
        f"div.rn.{t} {{d}}, {{x}}, {{y}};": divided(t),
        f"rcp.rn.{t} {{d}}, {{x}};": lambda x, y, z: divided(t)(one, x, 0),
        f"sqrt.rn.{t} {{d}}, {{x}};": root(t),
        f"neg.{t} {{d}}, {{x}};": lambda x, y, z: nan if is_nan(x, t) else x ^ top,
        f"abs.{t} {{d}}, {{x}};": lambda x, y, z: nan if is_nan(x, t) else x & ~top,
        f"min.{t} {{d}}, {{x}}, {{y}};": chosen(t, False),
        f"max.{t} {{d}}, {{x}}, {{y}};": chosen(t, True),
        f"min.NaN.{t} {{d}}, {{x}}, {{y}};": lambda x, y, z: (
            nan if is_nan(x, t) or is_nan(y, t) else chosen(t, False)(x, y, z)
        ),
        f"copysign.{t} {{d}}, {{x}}, {{y}};": lambda x, y, z: (x & top) | (y & ~top),
        f"testp.finite.{t} {{p}}, {{x}}; {select}": lambda x, y, z: int(not is_nan(x, t) and not is_inf(x, t)),
        f"mov.{b} {{d}}, {{x}};": lambda x, y, z: x,
    }
    tests: dict[str, Callable[[Fraction, Fraction], bool]] = {
        "eq": lambda a, c: a == c,
        "ne": lambda a, c: a != c,
        "lt": lambda a, c: a < c,
        "le": lambda a, c: a <= c,
        "gt": lambda a, c: a > c,
        "ge": lambda a, c: a >= c,
    }
    for name, test in tests.items():
        rules[f"setp.{name}.{t} {{p}}, {{x}}, {{y}}; {select}"] = comparing(t, test, False)
        rules[f"setp.{name}u.{t} {{p}}, {{x}}, {{y}}; {select}"] = comparing(t, test, True)
    rules[f"setp.num.{t} {{p}}, {{x}}, {{y}}; {select}"] = comparing(t, lambda a, c: True, False)
    rules[f"setp.nan.{t} {{p}}, {{x}}, {{y}}; {select}"] = comparing(t, lambda a, c: False, True)
    ways: dict[str, Callable[[Fraction], int]] = {"rni": round, "rzi": math.trunc, "rmi": math.floor, "rpi": math.ceil}
    for way, function in ways.items():
        same = u.replace("u", "s")
        rules[f"cvt.{way}.{same}.{t} {{d}}, {{x}};"] = to_integer(t, same, function)
        rules[f"cvt.{way}.{u}.{t} {{d}}, {{x}};"] = to_integer(t, u, function)

        def integral(x: int, y: int, z: int, function: Callable[[Fraction], int] = function) -> int:
            if is_nan(x, t) or is_inf(x, t):
                return int(nan) if is_nan(x, t) else x
            return int(rounded(Fraction(function(exact(x, t))), t, x >> (FORMATS[t][0] - 1)))

        rules[f"cvt.{way}.{t}.{t} {{d}}, {{x}};"] = integral
    for source in (u, u.replace("u", "s")):
        rules[f"cvt.rn.{t}.{source} {{d}}, {{x}};"] = lambda x, y, z, s=source: rounded(
            Fraction(signed(x, int(s[1:])) if s[0] == "s" else x), t
        )
    return rules


def integers(w: int) -> dict[str, Rule]:
    """The integer instructions of a width."""
    mask, u, s, b = (1 << w) - 1, f"u{w}", f"s{w}", f"b{w}"

    def g(x: int) -> int:
        return int(signed(x, w))

    def quotient(x: int, y: int) -> int:
        return int(math.copysign(1, x) * math.copysign(1, y)) * (abs(x) // abs(y))

    def shifted(x: int, n: int, sign: bool) -> int:
        n &= M32
        return (g(x) if sign else x) >> min(n, w) if sign or n < w else 0

    def extracted(x: int, at: int, n: int, sign: bool) -> int:
        at, n = at & 255, n & 255
        got = (g(x) if sign else x) >> at & ((1 << n) - 1) if n else 0
        if sign and n:
            top = min(at + n - 1, w - 1)
            if at >= w or at + n > w:
                got = (g(x) >> min(at, w)) & ((1 << n) - 1)
            if x >> top & 1:
                got |= -1 << n
        return got

    def inserted(x: int, y: int, at: int, n: int) -> int:
        at, n = at & 255, n & 255
        field = ((1 << n) - 1) << at & mask
        return (y & ~field) | (x << at & field)

    rules: dict[str, Rule] = {
        f"add.{u} {{d}}, {{x}}, {{y}};": lambda x, y, z: x + y,
        f"sub.{s} {{d}}, {{x}}, {{y}};": lambda x, y, z: x - y,
        f"mul.lo.{s} {{d}}, {{x}}, {{y}};": lambda x, y, z: x * y,
        f"mul.hi.{u} {{d}}, {{x}}, {{y}};": lambda x, y, z: x * y >> w,
        f"mul.hi.{s} {{d}}, {{x}}, {{y}};": lambda x, y, z: g(x) * g(y) >> w,
        f"mad.lo.{u} {{d}}, {{x}}, {{y}}, {{z}};": lambda x, y, z: x * y + z,
        f"mad.hi.{s} {{d}}, {{x}}, {{y}}, {{z}};": lambda x, y, z: (g(x) * g(y) >> w) + z,
        f"div.{u} {{d}}, {{x}}, {{y}};": lambda x, y, z: x // y if y else mask,
        f"rem.{u} {{d}}, {{x}}, {{y}};": lambda x, y, z: x % y if y else x,
        f"div.{s} {{d}}, {{x}}, {{y}};": lambda x, y, z: quotient(g(x), g(y)) if y else mask,
        f"rem.{s} {{d}}, {{x}}, {{y}};": lambda x, y, z: g(x) - quotient(g(x), g(y)) * g(y) if y else x,
        f"neg.{s} {{d}}, {{x}};": lambda x, y, z: -x,
        f"abs.{s} {{d}}, {{x}};": lambda x, y, z: abs(g(x)),
        f"min.{s} {{d}}, {{x}}, {{y}};": lambda x, y, z: min(g(x), g(y)),
        f"max.{u} {{d}}, {{x}}, {{y}};": lambda x, y, z: max(x, y),
        f"and.{b} {{d}}, {{x}}, {{y}};": lambda x, y, z: x & y,
        f"or.{b} {{d}}, {{x}}, {{y}};": lambda x, y, z: x | y,
        f"xor.{b} {{d}}, {{x}}, {{y}};": lambda x, y, z: x ^ y,
        f"not.{b} {{d}}, {{x}};": lambda x, y, z: ~x,
        f"cnot.{b} {{d}}, {{x}};": lambda x, y, z: int(x == 0),
        f"shl.{b} {{d}}, {{x}}, {{n}};": lambda x, y, z: x << min(y & M32, w),
        f"shr.{u} {{d}}, {{x}}, {{n}};": lambda x, y, z: shifted(x, y, False),
        f"shr.{s} {{d}}, {{x}}, {{n}};": lambda x, y, z: shifted(x, y, True),
        f"bfe.{u} {{d}}, {{x}}, {{n}}, {{m}};": lambda x, y, z: extracted(x, y, z, False),
        f"bfe.{s} {{d}}, {{x}}, {{n}}, {{m}};": lambda x, y, z: extracted(x, y, z, True),
        f"bfi.{b} {{d}}, {{x}}, {{y}}, {{n}}, {{m}};": lambda x, y, z: inserted(x, y, y, z),
        f"popc.{b} {{e}}, {{x}}; cvt.u{w}.u32 {{d}}, {{e}};": lambda x, y, z: x.bit_count(),
        f"clz.{b} {{e}}, {{x}}; cvt.u{w}.u32 {{d}}, {{e}};": lambda x, y, z: w - x.bit_length(),
        f"brev.{b} {{d}}, {{x}};": lambda x, y, z: int(f"{x:0{w}b}"[::-1], 2),
        f"bfind.{u} {{e}}, {{x}}; cvt.u{w}.u32 {{d}}, {{e}};": lambda x, y, z: (x.bit_length() - 1) & M32,
        f"setp.lt.{s} {{p}}, {{x}}, {{y}}; selp.{b} {{d}}, {{z}}, {{x}}, {{p}};": lambda x, y, z: (
            z if g(x) < g(y) else x
        ),
        f"setp.hi.{u} {{p}}, {{x}}, {{y}}; selp.{b} {{d}}, {{z}}, {{x}}, {{p}};": lambda x, y, z: z if x > y else x,
        f"setp.ge.{u} {{q}}, {{x}}, {{z}}; setp.ne.and.{b} {{p}}|{{q}}, {{x}}, {{y}}, {{q}}; "
        f"@{{p}} mov.{b} {{d}}, 1; @!{{p}} mov.{b} {{d}}, 0; @{{q}} add.{u} {{d}}, {{d}}, 2;": lambda x, y, z: (
            (x != y and x >= z) + 2 * (x == y and x >= z)
        ),
        f"set.gt.{u}.{s} {{e}}, {{x}}, {{y}}; cvt.s{w}.s32 {{d}}, {{e}};".replace(f"set.gt.u{w}", "set.gt.u32"): (
            lambda x, y, z: -1 if g(x) > g(y) else 0
        ),
        f"add.cc.{u} {{d}}, {{x}}, {{y}}; addc.{u} {{d}}, {{z}}, 0;": lambda x, y, z: z + (x + y >> w),
    }
    if w == 32:
        rules |= {
            "mul.wide.u16 {d}, {hx}, {hy};": lambda x, y, z: (x & 0xFFFF) * (y & 0xFFFF),
            "mul.wide.s16 {d}, {hx}, {hy};": lambda x, y, z: signed(x & 0xFFFF, 16) * signed(y & 0xFFFF, 16),
            "mul.wide.s32 {l}, {x}, {y}; shr.u64 {l}, {l}, 32; cvt.u32.u64 {d}, {l};": lambda x, y, z: (
                g(x) * g(y) >> 32
            ),
            "mad.wide.u32 {l}, {x}, {y}, {lz}; shr.u64 {l}, {l}, 32; cvt.u32.u64 {d}, {l};": lambda x, y, z: (
                x * y + z >> 32
            ),
            "shf.l.wrap.b32 {d}, {x}, {y}, {z};": lambda x, y, z: (y << 32 | x) << (z & 31) >> 32,
            "shf.r.clamp.b32 {d}, {x}, {y}, {z};": lambda x, y, z: (y << 32 | x) >> min(z, 32),
            "lop3.b32 {d}, {x}, {y}, {z}, 0xE2;": lambda x, y, z: sum(
                (0xE2 >> ((x >> k & 1) << 2 | (y >> k & 1) << 1 | (z >> k & 1)) & 1) << k for k in range(32)
            ),
            "prmt.b32 {d}, {x}, {y}, {z};": permuted,
            "cvt.s32.s8 {d}, {x};": lambda x, y, z: signed(x & 255, 8),
            "cvt.u32.u16 {d}, {hx};": lambda x, y, z: x & 0xFFFF,
            "cvt.sat.s8.s32 {hd}, {x}; cvt.s32.s8 {d}, {hd};": lambda x, y, z: min(max(g(x), -128), 127),
            "mov.b32 {hx2, hy2}, {x}; mov.b32 {d}, {hy2, hx2};": lambda x, y, z: x >> 16 | x << 16,
            "mov.b64 {l}, {{{x}, {y}}}; mov.b64 {{{d}, _}}, {l};": lambda x, y, z: x,
        }
    return rules


def permuted(x: int, y: int, z: int) -> int:
    both = y << 32 | x
    made = 0
    for k in range(4):
        pick = z >> 4 * k & 15
        byte = both >> 8 * (pick & 7) & 255
        made |= ((255 if byte & 128 else 0) if pick & 8 else byte) << 8 * k
    return made


def run(rules: dict[str, Rule], operands: Sequence[Array], w: int, floating: bool) -> None:
    """Runs every rule's instructions on every triple of operands and compares bits."""
    size = w // 8
    kind = f"{'f' if floating else 'b'}{w}"
    lines = ["mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.u32 %r4, %r1, %r2, %r3;"]
    lines.append(f"mul.wide.u32 %rd1, %r4, {size};")
    for name, letter in zip("abc", "xyz", strict=True):
        lines.append(f".reg .b{w} %{letter}; add.s64 %rd2, %{name}, %rd1; ld.global.b{w} %{letter}, [%rd2];")
    lines.append(".reg .b32 %n, %m, %e; .reg .b64 %l, %lz; .reg .b16 %hx, %hy, %hd, %hx2, %hy2;")
    lines.append(f".reg .b{w} %d; .reg .pred %p, %q;")
    if w == 32:
        lines.append("mov.b32 %n, %y; mov.b32 %m, %z; mov.b32 {%hx, _}, %x; mov.b32 {%hy, _}, %y; cvt.u64.u32 %lz, %z;")
    else:
        lines.append("cvt.u32.u64 %n, %y; cvt.u32.u64 %m, %z;")
    lines.append("add.s64 %rd3, %o, %rd1;")
    names = {n: f"%{n}" for n in ("d", "x", "y", "z", "n", "m", "e", "l", "lz", "p", "q", "hx", "hy", "hd")}
    for text in rules:
        made = text.replace("{hx2, hy2}", "{{%hx2, %hy2}}").replace("{hy2, hx2}", "{{%hy2, %hx2}}").format(**names)
        lines.append(f"{made}\nst.global.b{w} [%rd3], %d; add.s64 %rd3, %rd3, %stride;")
    text = program("\n".join(lines), "u64 a, u64 b, u64 c, u64 o, u64 stride")
    card = Card(checks="uninitialised")
    count = len(operands[0])
    like = np.zeros((len(rules), count), f"u{size}")
    out = card.empty(like)
    card.launch(
        card.kernel(text), count // 100, 100, [*(card.array(a) for a in operands), out, np.uint64(size * count)]
    )
    mask = (1 << w) - 1
    for row, (instruction, rule) in zip(out.get(), rules.items(), strict=True):
        for x, y, z, got in zip(*(a.tolist() for a in operands), row.tolist(), strict=True):
            expected = rule(x, y, z) & mask
            assert got == expected, (
                f"{instruction} of 0x{x:x}, 0x{y:x}, 0x{z:x}: 0x{got:x}, expected 0x{expected:x} ({kind})"
            )


@pytest.mark.parametrize("w", (32, 64))
def test_integers(w: int) -> None:
    rng = np.random.default_rng(w)
    hard = [
        0,
        1,
        2,
        3,
        15,
        16,
        31,
        32,
        33,
        63,
        64,
        65,
        255,
        256,
        (1 << w - 1) - 1,
        1 << w - 1,
        (1 << w) - 1,
        (1 << w) - 2,
    ]
    values = np.array(hard + [int(v) for v in rng.integers(0, 1 << 63, 30)], np.uint64).astype(f"u{w // 8}")
    run(integers(w), [rng.choice(values, COUNT) for _ in range(3)], w, False)


@pytest.mark.parametrize("t", ("f32", "f64"))
def test_floating_point(t: str) -> None:
    w, mantissa, bias, _ = FORMATS[t]
    rng = np.random.default_rng(w)
    top, one = 1 << w - 1, bias << mantissa
    hard = [
        0,
        1,
        2,
        (1 << mantissa) - 1,
        1 << mantissa,
        (1 << mantissa) + 1,
        one,
        one + 1,
        one - 1,
        one + (1 << mantissa - 1),
    ]
    hard += [(2 * bias + 1 << mantissa) - 1, 2 * bias + 1 << mantissa, (2 * bias + 1 << mantissa) + 1, (1 << w - 1) - 1]
    hard += [rounded(Fraction(k), t) for k in (3, 127, 128, 2**31, 2**31 - 1, 2**32, 2**63, 2**64)]
    hard += [rounded(Fraction(k, 2), t) for k in (1, 3, 5, 255, 257)]
    hard += [int(v) >> (64 - w) & top - 1 for v in rng.integers(0, 1 << 63, 40)]
    near = [one + int(v) for v in rng.integers(-(2 << mantissa), 2 << mantissa, 60)]
    values = np.array([v | s for v in hard + near for s in (0, top)], f"u{w // 8}")
    run(arithmetic(t), [rng.choice(values, COUNT) for _ in range(3)], w, True)


def test_widening_and_narrowing() -> None:
    rng = np.random.default_rng(1)
    bits = np.r_[
        rng.integers(0, 1 << 63, 300), [0, 1, 1 << 63 - 1, 0x36A << 52, (0x36A << 52) + 1, 0x47F << 52]
    ].astype(np.uint64)
    bits = np.r_[bits, bits | np.uint64(1 << 63), rng.integers(0x380 << 52, 0x390 << 52, 394).astype(np.uint64)][:1000]
    body = """
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd1, %r1, 8;
    add.s64 %rd2, %a, %rd1;
    ld.global.f64 %d1, [%rd2];
    cvt.rn.f32.f64 %f1, %d1;
    cvt.f64.f32 %d2, %f1;
    add.s64 %rd3, %b, %rd1;
    st.global.f64 [%rd3], %d2;
"""
    card = Card()
    out = card.empty(bits)
    card.launch(card.kernel(program(body)), 1, 1000, [card.array(bits), out])
    with np.errstate(all="ignore"):
        expected = bits.view(np.float64).astype(np.float32).astype(np.float64).view(np.uint64)
    nan = np.isnan(bits.view(np.float64))
    expected[nan] = 0xFFF8 << 48
    np.testing.assert_array_equal(out.get(), expected)


REFUSED = {
    "add.f32 %f1, %f2, %f3;": "fuse",
    "mul.f64 %d1, %d2, %d3;": "fuse",
    "sub.f32 %f1, %f2, %f3;": "fuse",
    "mad.rn.f32 %f1, %f2, %f3, %f4;": "write fma.rn",
    "fma.rz.f32 %f1, %f2, %f3, %f4;": "rounding .rz",
    "add.rn.ftz.f32 %f1, %f2, %f3;": ".ftz",
    "div.approx.f32 %f1, %f2, %f3;": ".approx",
    "div.full.f32 %f1, %f2, %f3;": ".full",
    "ex2.approx.f32 %f1, %f2;": "does not know",
    "atom.global.add.f32 %f1, [%a], %f2;": "order of a floating-point atomic",
    "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 %f1, %f2, %f3, %f4;": "does not know",
    "add.u32.odd %r1, %r2, %r3;": "type .odd",
    "add.odd.u32 %r1, %r2, %r3;": "modifier .odd",
    "add.u32 %r1, %r2, %r99;": "not declared|no register",
    "add.u32 %rd1, %r2, %r3;": "cannot hold",
    "add.u64 %rd1, %r2, %rd3;": "read as",
    "mov.u32 %r1, nowhere;": "names no variable",
    "bra nowhere;": "not here",
    "mov.u32 %r1, %clusterid.x;": "is no register",
    "shfl.up.b32 %r1, %r2, 1, 0;": "without a mask",
    "cvt.f32.u32 %f1, %r1;": ".rn only",
    "fence.acq_rel;": "needs a scope",
    "wgmma.fence.sync.aligned;": "does not know",
    "mov.u32 %r1, 5 6;": "expected",
    ".maxnreg 5;": "directive",
    "mov.u32 %r1, \u00e4;": "no token",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_known_is_refused_by_line_and_name(text: str) -> None:
    with pytest.raises(CardError, match=REFUSED[text]) as caught:
        Card().kernel(program(f"\n{text}\n"))
    assert caught.value.name == "CUDA_ERROR_INVALID_PTX" and "line " in caught.value.text


def test_numbers_of_the_formats() -> None:
    # The exact arithmetic of this file against the machine's own.
    for bits in (0x3F800001, 0x00000001, 0x7F7FFFFF, 0xBF000000):
        (value,) = struct.unpack("f", struct.pack("I", bits))
        assert exact(bits, "f32") == Fraction(value) and rounded(Fraction(value), "f32") == bits
