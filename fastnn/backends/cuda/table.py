"""The table of specs: how every operation is computed. Imports no compiler."""

from __future__ import annotations

from functools import cache

from ...core.operations import OPERATIONS, Family, Operation
from . import binary, elementwise, losses, normalization, optimizers, rowwise, softmax
from .specs import Own, Spec

# Whose scalars change from step to step: they lie in a table on the card, so that a captured step reads new ones.
STEPPED = (Family.OPTIMIZER_STEP, Family.DECAY_STEP, Family.GRADIENT_SCALE, Family.PENALTY_BACKWARD)


def is_stepped(operation: Operation) -> bool:
    """Whether an operation's scalars lie in a table, with a row for each step."""
    return operation.family in STEPPED


@cache
def specs() -> dict[str, Spec]:
    """How each operation is computed, in the order of the operation table."""
    products: dict[str, Spec] = {name: Own("product") for name in ("gemm_nn", "gemm_tn", "gemm_nt", "dense_forward")}
    families = (elementwise, softmax, losses, normalization, rowwise, binary, optimizers)
    found = products | {name: spec for family in families for name, spec in family.specs().items()}
    return {name: found[name] for name in OPERATIONS}
