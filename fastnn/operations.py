"""The operation table: one row an operation. Tests, benchmarks and documentation are made from it; every backend has
every row.

A signature names outputs, then inputs, then scalars: `"Z_bo : X_bi W_io b_o"`. The letters after the underscore are
dimensions, `*` marks an array that is read and written. Arrays have rows of contiguous elements (the stride between
rows is free), all of one dtype; a `total` is a float64 array. Scalars are Python numbers, computed in float64 and
rounded once to the dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from .formulas import ACTIVATIONS, LOSSES, OPTIMIZERS, ROW_LOSSES, ROW_METRICS, SPARSE_LOSSES
from .plan import ACTIVATION_CODE, LOSS_CODE, METRIC_CODE, OPTIMIZER_CODE


class Family(IntEnum):
    """A kernel that serves the operations of one family; the operation's code chooses the formula."""

    GEMM_NN = 0
    GEMM_TN = 1
    GEMM_NT = 2
    DENSE_FORWARD = 3
    BIAS_BACKWARD = 4
    ACTIVATION_FORWARD = 5
    ACTIVATION_BACKWARD = 6
    SOFTMAX_FORWARD = 7
    SOFTMAX_BACKWARD = 8
    LOSS_FORWARD = 9
    LOSS_BACKWARD = 10
    CROSSENTROPY_FORWARD = 11
    CROSSENTROPY_BACKWARD = 12
    METRIC = 13
    R2_SUMS = 14
    WEIGHTED_SUM = 15
    ROW_SCALE = 16
    SUM_ABS = 17
    SUM_SQUARES = 18
    PENALTY_BACKWARD = 19
    DECAY_STEP = 20
    OPTIMIZER_STEP = 21
    DROPOUT = 22


@dataclass(frozen=True)
class Argument:
    """One array of a signature."""

    name: str
    dims: str
    output: bool
    updated: bool

    @property
    def total(self) -> bool:
        """Whether it is a float64 sum, whatever the operation's dtype."""
        return self.name.startswith("total")


@dataclass(frozen=True)
class Operation:
    """One row of the table.

    `flops(d)` counts floating-point operations from a mapping of dimension letters; `bound` is the error against the
    exact value, in units of eps * scale as `tests/exact.py` measures it; 0 means exact.
    """

    name: str
    family: Family
    code: int
    signature: str
    scalars: tuple[str, ...]
    flops: Callable[[Mapping[str, int]], int]
    bound: float
    summary: str

    @property
    def arguments(self) -> tuple[Argument, ...]:
        outputs, _, inputs = self.signature.partition(":")
        return tuple(
            Argument(word.rstrip("*").split("_")[0], word.rstrip("*").split("_")[1], output, word.endswith("*"))
            for words, output in ((outputs, True), (inputs, False))
            for word in words.split()
        )

    def bytes(self, d: Mapping[str, int], itemsize: int) -> int:
        """Bytes moved if every array is read or written once (twice where it is updated)."""
        return sum(
            math.prod(d.get(letter, 1) for letter in argument.dims)
            * (8 if argument.total else itemsize)
            * (2 if argument.updated else 1)
            for argument in self.arguments
        )


def _rows() -> list[Operation]:
    rows: list[Operation] = []
    scalars: tuple[str, ...]

    def add(
        name: str,
        family: Family,
        signature: str,
        flops: Callable[[Mapping[str, int]], int],
        bound: float,
        summary: str,
        scalars: tuple[str, ...] = (),
        code: int = 0,
    ) -> None:
        rows.append(Operation(name, family, code, signature, scalars, flops, bound, summary))

    gemm = _elements("mnk", 2)
    add("gemm_nn", Family.GEMM_NN, "C_mn : A_mk B_kn", gemm, 4, "C = A B, chunks of 256 along k")
    add("gemm_tn", Family.GEMM_TN, "C_mn : A_km B_kn", gemm, 4, "C = A^T B: the gradient of weights, X^T dZ")
    add("gemm_nt", Family.GEMM_NT, "C_mn : A_mk B_nk", gemm, 4, "C = A B^T: the gradient of inputs, dZ W^T")
    add(
        "dense_forward",
        Family.DENSE_FORWARD,
        "Z_bo : X_bi W_io b_o",
        _elements("boi", 2),
        4,
        "Z = X W + b",
    )
    add(
        "bias_backward",
        Family.BIAS_BACKWARD,
        "db_o : dZ_bo",
        _elements("bo", 1),
        4,
        "db = sum of dZ over the batch",
    )

    for name, activation in ACTIVATIONS.items():
        scalars, code = (activation.parameter or "unused",), ACTIVATION_CODE[name]
        add(
            f"{name}_forward",
            Family.ACTIVATION_FORWARD,
            "A_bo : Z_bo",
            _elements("bo", 20),
            4,
            f"A = {name}(Z)",
            scalars,
            code,
        )
        saved = "A" if activation.saved == "output" else "Z"
        add(
            f"{name}_backward",
            Family.ACTIVATION_BACKWARD,
            f"dZ_bo : dA_bo {saved}_bo",
            _elements("bo", 20),
            4,
            f"dZ = dA * {name}' from {saved}",
            scalars,
            code,
        )

    add(
        "softmax_forward",
        Family.SOFTMAX_FORWARD,
        "P_bc : Z_bc",
        _elements("bc", 16),
        4,
        "P = e^(Z - max) / sum, by rows",
    )
    add(
        "softmax_backward",
        Family.SOFTMAX_BACKWARD,
        "dZ_bc : dP_bc P_bc",
        _elements("bc", 4),
        4,
        "dZ = P (dP - sum(dP P)), by rows: the full Jacobian",
    )

    for name, loss in LOSSES.items():
        scalars, code = (loss.parameter or "unused", "keep", "add"), LOSS_CODE[name]
        add(
            f"{name}_forward",
            Family.LOSS_FORWARD,
            "l_b : A_bc Y_bc",
            _elements("bc", 20),
            6,
            f"{name} of each row",
            scalars,
            code,
        )
        add(
            f"{name}_backward",
            Family.LOSS_BACKWARD,
            "dA_bc : A_bc Y_bc s_b",
            _elements("bc", 20),
            6,
            f"gradient of {name} by A, times s by rows",
            scalars,
            code,
        )
    for name in ROW_LOSSES:
        scalars, code = ("unused", "keep", "add"), LOSS_CODE[name]
        targets = "y_b" if name in SPARSE_LOSSES else "Y_bc"
        if "softmax" in name:
            add(
                f"{name}_forward",
                Family.CROSSENTROPY_FORWARD,
                f"l_b P_bc : Z_bc {targets}",
                _elements("bc", 24),
                4,
                "crossentropy from logits and its softmax",
                scalars,
                code,
            )
            add(
                f"{name}_backward",
                Family.CROSSENTROPY_BACKWARD,
                f"dZ_bc : P_bc {targets} s_b",
                _elements("bc", 4),
                4,
                "dZ = (P sum(Y) - Y) s",
                scalars,
                code,
            )
        else:
            add(
                f"{name}_forward",
                Family.LOSS_FORWARD,
                f"l_b : A_bc {targets}",
                _elements("bc", 24),
                4,
                "crossentropy of probabilities, renormalised and clipped",
                scalars,
                code,
            )
            add(
                f"{name}_backward",
                Family.LOSS_BACKWARD,
                f"dA_bc : A_bc {targets} s_b",
                _elements("bc", 24),
                6,
                "its gradient by A, times s by rows",
                scalars,
                code,
            )

    for name in ROW_METRICS:
        targets = "y_b" if name == "sparse_categorical_accuracy" else "Y_bc"
        rounding = 1 if name == "binary_accuracy" else 0  # the mean over the outputs is rounded
        add(
            name,
            Family.METRIC,
            f"r_b : A_bc {targets}",
            _elements("bc", 2),
            rounding,
            f"{name} of each row",
            (),
            METRIC_CODE[name],
        )
    add(
        "r2_sums",
        Family.R2_SUMS,
        "total_t* : A_bc Y_bc",
        _elements("bc", 6),
        8,
        "adds a row's share of sum y, sum y^2, sum (y - a)^2 by output, then the row count, in row order",
    )
    add(
        "weighted_sum",
        Family.WEIGHTED_SUM,
        "total_1* : l_b w_b",
        _elements("b", 2),
        2,
        "total += w l, in row order, float64",
    )
    add("row_scale", Family.ROW_SCALE, "s_b : w_b", _elements("b", 1), 1, "s = w * factor", ("factor",))
    add(
        "sum_abs",
        Family.SUM_ABS,
        "total_1* : w_p",
        _elements("p", 1),
        8,
        "total += sum |w|: 16 lanes in blocks of 4096, float64",
    )
    add("sum_squares", Family.SUM_SQUARES, "total_1* : w_p", _elements("p", 2), 8, "total += sum w^2, likewise")
    add(
        "penalty_backward",
        Family.PENALTY_BACKWARD,
        "g_p* : w_p",
        _elements("p", 4),
        2,
        "g += two_l2 w + l1 sign(w)",
        ("l1", "two_l2"),
    )
    add("decay_step", Family.DECAY_STEP, "theta_p* :", _elements("p", 2), 1, "theta += factor theta", ("factor",))
    for name, optimizer in OPTIMIZERS.items():
        slots = " ".join(f"{'mv'[n]}_p*" for n in range(len(optimizer.slots)))
        add(
            f"{name}_step",
            Family.OPTIMIZER_STEP,
            f"theta_p* {slots} : g_p",
            _elements("p", 12),
            4,
            f"one {name} step",
            optimizer.scalars,
            OPTIMIZER_CODE[name],
        )
    add(
        "dropout",
        Family.DROPOUT,
        "A_bo : Z_bo",
        _elements("bo", 1),
        1,
        "A = keep ? Z / (1 - rate) : 0; its own backward",
        ("rate", "seed", "step", "layer"),
    )
    return rows


def _elements(dims: str, per_element: int) -> Callable[[Mapping[str, int]], int]:
    def flops(d: Mapping[str, int]) -> int:
        return per_element * math.prod(d[letter] for letter in dims)

    return flops


OPERATIONS: dict[str, Operation] = {row.name: row for row in _rows()}


def table() -> str:
    """The operation table as Markdown, for `fastnn/README.md`: `python -m fastnn.operations` prints it."""
    lines = ["| operation | arguments | scalars | meaning | bound |", "| --- | --- | --- | --- | --- |"]
    for row in OPERATIONS.values():
        scalars = ", ".join(name for name in row.scalars if name != "unused")
        summary = row.summary.replace("|", "\\|")
        cells = (f"`{row.name}`", f"`{row.signature.strip()}`", scalars, summary, f"{row.bound:g}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
