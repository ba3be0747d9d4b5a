"""The PTX of every kernel: nothing that rounds otherwise than the contract says, and nothing left to be contracted."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("cuda.core", reason="without the extra cuda13")

from fastnn.backends.cuda import library
from support import DTYPES

pytest.importorskip("fastnn.backends.cuda.compiler", exc_type=ImportError)

ARCHS = ("sm_90", pytest.param("sm_75", marks=pytest.mark.slow), pytest.param("sm_100", marks=pytest.mark.slow))

FORBIDDEN = {
    "flushes denormals": r"\.ftz\b",
    "is approximate": r"\.approx\b|\.full\b",
    "may be contracted": r"\b(?:add|sub|mul)\.f(?:32|64)\b|\bmad\.(?:rn\.)?f(?:32|64)\b",
    "rounds otherwise": r"\b(?:add|sub|mul|fma|div|rcp|sqrt)\.r[zmp]\b",
    "takes the larger or smaller of NaN": r"\b(?:min|max)\.NaN\b",
    "is of a library": r"\bcall\b",
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arch", ARCHS)
def test_every_kernel(arch: str, dtype: str) -> None:
    from fastnn.backends.cuda import sources

    found = []
    for name in sources.names(dtype):
        text = library.ptx(name, dtype, arch)
        assert re.search(rf"\.visible \.entry {library.file_name(name, dtype)}\(", text), name
        found += [
            f"{name} {why}: {line.strip()}"
            for line in text.splitlines()
            for why, what in FORBIDDEN.items()
            if re.search(what, line)
        ]
    assert not found


def test_what_is_forbidden_is_found() -> None:
    """A pattern that finds nothing would pass everything."""
    lines = (
        "add.f32 %f1, %f2, %f3;", "mul.f64 %d1, %d2, %d3;", "fma.rn.ftz.f32 %f1, %f2, %f3, %f4;", "call (p), f, (q);",
        "div.approx.f32 %f1, %f2, %f3;", "add.rz.f32 %f1, %f2, %f3;", "max.NaN.f32 %f1, %f2, %f3;",
    )  # fmt: skip
    for line in lines:
        assert any(re.search(what, line) for what in FORBIDDEN.values()), line
    for line in ("add.rn.f32 %f1, %f2, %f3;", "add.s64 %rd1, %rd2, %rd3;", "mul.wide.s32 %rd1, %r1, 4;"):
        assert not any(re.search(what, line) for what in FORBIDDEN.values()), line
