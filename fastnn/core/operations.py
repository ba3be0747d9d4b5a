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

from .formulas import ACTIVATIONS
from .losses import LOSSES, ROW_LOSSES, ROW_METRICS
from .plan import ACTIVATION_CODE, DEVIATION_CODE, LOSS_CODE, METRIC_CODE, OPTIMIZER_CODE
from .steps import OPTIMIZERS


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
    AFFINE = 23
    BATCH_MOMENTS = 24
    MOVING_AVERAGE = 25
    INVERSE_DEVIATION = 26
    STANDARDIZE_FORWARD = 27
    STANDARDIZE_BACKWARD = 28
    BATCH_NORM_FORWARD = 29
    SCALE_BACKWARD = 30
    BATCH_NORM_BACKWARD = 31
    LAYER_NORM_FORWARD = 32
    LAYER_NORM_BACKWARD = 33
    CLIP_VALUE = 34
    GRADIENT_SCALE = 35


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
        signature: str,
        flops: Callable[[Mapping[str, int]], int],
        bound: float,
        summary: str,
        scalars: tuple[str, ...] = (),
        family: Family | None = None,
        code: int = 0,
    ) -> None:
        """A row; its family is the one of its name unless told."""
        chosen = Family[name.upper()] if family is None else family
        rows.append(Operation(name, chosen, code, signature, scalars, flops, bound, summary))

    gemm = _elements("mnk", 2)
    add("gemm_nn", "C_mn : A_mk B_kn", gemm, 4, "C = A B, chunks of 256 along k")
    add("gemm_tn", "C_mn : A_km B_kn", gemm, 4, "C = A^T B: the gradient of weights, X^T dZ")
    add("gemm_nt", "C_mn : A_mk B_nk", gemm, 4, "C = A B^T: the gradient of inputs, dZ W^T")
    add("dense_forward", "Z_bo : X_bi W_io b_o", _elements("boi", 2), 4, "Z = X W + b")
    add("bias_backward", "db_o : dZ_bo", _elements("bo", 1), 4, "db = sum of dZ over the batch")

    for name, activation in ACTIVATIONS.items():
        scalars, code = (activation.parameter or "unused",), ACTIVATION_CODE[name]
        add(
            f"{name}_forward",
            "A_bo : Z_bo",
            _elements("bo", 20),
            4,
            f"A = {name}(Z)",
            scalars,
            Family.ACTIVATION_FORWARD,
            code,
        )
        saved = "A" if activation.saved == "output" else "Z"
        add(
            f"{name}_backward",
            f"dZ_bo : dA_bo {saved}_bo",
            _elements("bo", 20),
            4,
            f"dZ = dA * {name}' from {saved}",
            scalars,
            Family.ACTIVATION_BACKWARD,
            code,
        )

    add("softmax_forward", "P_bc : Z_bc", _elements("bc", 16), 4, "P = e^(Z - max) / sum, by rows")
    add(
        "softmax_backward",
        "dZ_bc : dP_bc P_bc",
        _elements("bc", 4),
        4,
        "dZ = P (dP - sum(dP P)), by rows: the full Jacobian",
    )

    for name, loss in LOSSES.items():
        scalars, code = (loss.parameter or "unused", "keep", "add"), LOSS_CODE[name]
        add(
            f"{name}_forward",
            "l_b : A_bc Y_bc",
            _elements("bc", 20),
            6,
            f"{name} of each row",
            scalars,
            Family.LOSS_FORWARD,
            code,
        )
        add(
            f"{name}_backward",
            "dA_bc : A_bc Y_bc s_b",
            _elements("bc", 20),
            6,
            f"gradient of {name} by A, times s by rows",
            scalars,
            Family.LOSS_BACKWARD,
            code,
        )
    for name, facts in ROW_LOSSES.items():
        scalars, code = ("unused", "keep", "add"), LOSS_CODE[name]
        targets = "y_b" if facts.classes else "Y_bc"
        if facts.softmax:
            add(
                f"{name}_forward",
                f"l_b P_bc : Z_bc {targets}",
                _elements("bc", 24),
                4,
                "crossentropy from logits and its softmax",
                scalars,
                Family.CROSSENTROPY_FORWARD,
                code,
            )
            add(
                f"{name}_backward",
                f"dZ_bc : P_bc {targets} s_b",
                _elements("bc", 4),
                4,
                "dZ = (P sum(Y) - Y) s",
                scalars,
                Family.CROSSENTROPY_BACKWARD,
                code,
            )
        else:
            add(
                f"{name}_forward",
                f"l_b : A_bc {targets}",
                _elements("bc", 24),
                4,
                "crossentropy of probabilities, renormalised and clipped",
                scalars,
                Family.LOSS_FORWARD,
                code,
            )
            add(
                f"{name}_backward",
                f"dA_bc : A_bc {targets} s_b",
                _elements("bc", 24),
                6,
                "its gradient by A, times s by rows",
                scalars,
                Family.LOSS_BACKWARD,
                code,
            )

    for name in ROW_METRICS:
        targets = "y_b" if name == "sparse_categorical_accuracy" else "Y_bc"
        rounding = 1 if name == "binary_accuracy" else 0  # the mean over the outputs is rounded
        add(
            name,
            f"r_b : A_bc {targets}",
            _elements("bc", 2),
            rounding,
            f"{name} of each row",
            (),
            Family.METRIC,
            METRIC_CODE[name],
        )
    add(
        "r2_sums",
        "total_t* : A_bc Y_bc w_b",
        _elements("bc", 8),
        8,
        "adds a row's share of sum w y, sum w y^2, sum w (y - a)^2 by output, then of sum w, in row order",
    )
    add("weighted_sum", "total_1* : l_b w_b", _elements("b", 2), 2, "total += w l, in row order, float64")
    add("row_scale", "s_b : w_b", _elements("b", 1), 1, "s = w * factor", ("factor",))
    add("sum_abs", "total_1* : w_p", _elements("p", 1), 8, "total += sum |w|: 16 lanes in blocks of 4096, float64")
    add("sum_squares", "total_1* : w_p", _elements("p", 2), 8, "total += sum w^2, likewise")
    add("penalty_backward", "g_p* : w_p", _elements("p", 4), 2, "g += two_l2 w + l1 sign(w)", ("l1", "two_l2"))
    add("decay_step", "theta_p* :", _elements("p", 2), 1, "theta += factor theta", ("factor",))
    for name, optimizer in OPTIMIZERS.items():
        slots = " ".join(f"{letter}_p*" for letter, _ in zip("mvu", optimizer.slots, strict=False))
        add(
            f"{name}_step",
            f"theta_p* {slots} : g_p",
            _elements("p", 12),
            4,
            f"one {name} step",
            optimizer.scalars,
            Family.OPTIMIZER_STEP,
            OPTIMIZER_CODE[name],
        )
    add(
        "dropout",
        "A_bo : Z_bo",
        _elements("bo", 1),
        1,
        "A = keep ? Z / (1 - rate) : 0; its own backward",
        ("rate", "seed", "step", "layer"),
    )
    add(
        "affine",
        "A_bo : Z_bo",
        _elements("bo", 2),
        1,
        "A = scale Z + offset; its own backward with offset 0",
        ("scale", "offset"),
    )
    add(
        "batch_moments",
        "mean_o var_o : Z_bo",
        _elements("bo", 5),
        8,
        "mean and variance over the batch, in two passes",
        ("inverse_b",),
    )
    add("moving_average", "m_o* : x_o", _elements("o", 3), 2, "m += rate (x - m)", ("rate",))
    for name, code in DEVIATION_CODE.items():
        floor = name == "inverse_deviation_floor"
        add(
            name,
            "inv_o : var_o",
            _elements("o", 3),
            2,
            "inv = 1 / max(sqrt(var), epsilon)" if floor else "inv = 1 / sqrt(var + epsilon)",
            ("epsilon",),
            Family.INVERSE_DEVIATION,
            code,
        )
    add(
        "standardize_forward",
        "A_bo : Z_bo mean_o inv_o gamma_o beta_o",
        _elements("bo", 4),
        2,
        "A = (Z - mean) inv gamma + beta",
    )
    add("standardize_backward", "dZ_bo : dA_bo inv_o gamma_o", _elements("bo", 2), 2, "dZ = dA inv gamma")
    add(
        "batch_norm_forward",
        "A_bo N_bo : Z_bo mean_o inv_o gamma_o beta_o",
        _elements("bo", 4),
        2,
        "N = (Z - mean) inv, A = N gamma + beta",
    )
    add("scale_backward", "dg_o : dA_bo N_bo", _elements("bo", 2), 4, "dg = sum of dA N over the batch")
    add(
        "batch_norm_backward",
        "dZ_bo : dA_bo N_bo inv_o gamma_o db_o dg_o",
        _elements("bo", 6),
        3,
        "dZ = inv gamma (dA - db / B - N dg / B)",
        ("inverse_b",),
    )
    add(
        "layer_norm_forward",
        "A_bo N_bo inv_b : Z_bo gamma_o beta_o",
        _elements("bo", 8),
        3,
        "N = (Z - mean) inv by rows, A = N gamma + beta",
        ("epsilon", "inverse_o"),
    )
    add(
        "layer_norm_backward",
        "dZ_bo : dA_bo N_bo inv_b gamma_o",
        _elements("bo", 10),
        4,
        "dZ = inv (g - mean of g - N mean of g N) by rows, g = dA gamma",
        ("inverse_o",),
    )
    add("clip_value", "g_p* :", _elements("p", 2), 0, "g within -limit and limit", ("limit",))
    add("gradient_scale", "g_p* :", _elements("p", 1), 1, "g *= factor", ("factor",))
    return rows


def _elements(dims: str, per_element: int) -> Callable[[Mapping[str, int]], int]:
    def flops(d: Mapping[str, int]) -> int:
        return per_element * math.prod(d[letter] for letter in dims)

    return flops


OPERATIONS: dict[str, Operation] = {row.name: row for row in _rows()}


def table() -> str:
    """The operation table as Markdown, for `fastnn/README.md`: `python -m fastnn.core.operations` prints it."""
    lines = ["| operation | arguments | scalars | meaning | bound |", "| --- | --- | --- | --- | --- |"]
    for row in OPERATIONS.values():
        scalars = ", ".join(name for name in row.scalars if name != "unused")
        summary = row.summary.replace("|", "\\|")
        cells = (f"`{row.name}`", f"`{row.signature.strip()}`", scalars, summary, f"{row.bound:g}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
