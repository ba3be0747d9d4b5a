"""Ten losses and the final theta: the same bits on every backend, with one thread or two.

`test_instruction_sets.py` has those of other instruction sets than this machine's best."""

from __future__ import annotations

import pytest

from golden_nets import digests, expected
from support import DTYPES, TWINS, Runner, load, runner_name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", TWINS, ids=runner_name, indirect=True)
def test_backends_agree(runner: Runner, dtype: str) -> None:
    assert digests(load(runner[0]), dtype) == expected(dtype)
