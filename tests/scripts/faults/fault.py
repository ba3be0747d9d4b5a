"""What a planted fault is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A text of a file, which occurs there once, and what a mistaken programmer would have written."""

    name: str
    file: str
    before: str
    after: str
    why: str  # what goes wrong, and for whom
    tests: tuple[str, ...]  # files of tests/ that are tried first


def fault(name: str, file: str, before: str, after: str, why: str, *tests: str) -> Fault:
    """A `Fault` whose tests are called by what follows "test_"."""
    return Fault(name, file, before, after, why, tuple(f"test_{test}.py" for test in tests))
