"""The operation table: one row an operation. Tests, benchmarks and documentation are made from it; every backend has
every row.

A signature names outputs, then inputs, then scalars: `"Z_bo : X_bi W_io b_o"`. The letters after the underscore are
dimensions, `*` marks an array that is read and written. Arrays have rows of contiguous elements (the stride between
rows is free), all of one dtype; a `total` is a float64 array. Scalars are Python numbers, computed in float64 and
rounded once to the dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from .binary import BINARY
from .formulas import ELEMENTWISE
from .losses import LOSSES, ROW_LOSSES, ROW_METRICS
from .plan import (
    ACTIVATION_CODE,
    BINARY_CODE,
    BINARY_GRADIENT_CODE,
    DEVIATION_CODE,
    LOSS_CODE,
    METRIC_CODE,
    OPTIMIZER_CODE,
    ROW_WISE_CODE,
    VECTOR_GRADIENT_CODE,
)
from .rowwise import ROW_WISE
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
    ROW_WISE_FORWARD = 36
    ROW_WISE_BACKWARD = 37
    VECTOR_BACKWARD = 38
    BINARY = 39
    BINARY_BACKWARD = 40
    COPY = 41
    FILL = 42
    ROW_SUM = 43
    REPEAT = 44
    EMBEDDING_FORWARD = 45
    EMBEDDING_BACKWARD = 46
    UNIFORM = 47


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


def _argument(word: str, output: bool) -> Argument:
    name, dims = word.rstrip("*").split("_")
    return Argument(name, dims, output, word.endswith("*"))


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

    arguments: tuple[Argument, ...] = field(init=False)

    def __post_init__(self) -> None:
        outputs, _, inputs = self.signature.partition(":")
        arguments = tuple(
            _argument(word, output) for words, output in ((outputs, True), (inputs, False)) for word in words.split()
        )
        object.__setattr__(self, "arguments", arguments)

    def bytes(self, d: Mapping[str, int], itemsize: int) -> int:
        """Bytes moved if every array is read or written once (twice where it is updated)."""
        return sum(
            math.prod(d.get(letter, 1) for letter in argument.dims)
            * (8 if argument.total else itemsize)
            * (2 if argument.updated else 1)
            for argument in self.arguments
        )


Place = tuple[Family, int]  # the family and the code of an operation


def _row(
    name: str,
    signature: str,
    dims: str,
    flops_per_element: int,
    bound: float,
    summary: str,
    scalars: tuple[str, ...] = (),
    place: Place | None = None,
) -> Operation:
    """A row of `flops_per_element` flops for each element of `dims`; without a place, its family has its name."""

    def flops(d: Mapping[str, int]) -> int:
        return flops_per_element * math.prod(d[letter] for letter in dims)

    family, code = place or (Family[name.upper()], 0)
    return Operation(name, family, code, signature, scalars, flops, bound, summary)


def _products() -> Iterator[Operation]:
    yield _row("gemm_nn", "C_mn : A_mk B_kn", "mnk", 2, 4, "C = A B, chunks of 256 along k")
    yield _row("gemm_tn", "C_mn : A_km B_kn", "mnk", 2, 4, "C = A^T B: the gradient of weights, X^T dZ")
    yield _row("gemm_nt", "C_mn : A_mk B_nk", "mnk", 2, 4, "C = A B^T: the gradient of inputs, dZ W^T")
    yield _row("dense_forward", "Z_bo : X_bi W_io b_o", "boi", 2, 4, "Z = X W + b")
    yield _row("bias_backward", "db_o : dZ_bo", "bo", 1, 4, "db = sum of dZ over the batch")


def _activations() -> Iterator[Operation]:
    for name, activation in ELEMENTWISE.items():
        scalars, code = (activation.parameter or "unused",), ACTIVATION_CODE[name]
        place = Family.ACTIVATION_FORWARD, code
        yield _row(f"{name}_forward", "A_bo : Z_bo", "bo", 20, 4, f"A = {name}(Z)", scalars, place)
        saved = "A" if activation.saved == "output" else "Z"
        summary, place = f"dZ = dA * {name}' from {saved}", (Family.ACTIVATION_BACKWARD, code)
        yield _row(f"{name}_backward", f"dZ_bo : dA_bo {saved}_bo", "bo", 20, 4, summary, scalars, place)
    yield _row("softmax_forward", "P_bc : Z_bc", "bc", 16, 4, "P = e^(Z - max) / sum, by rows")
    summary = "dZ = P (dP - sum(dP P)), by rows: the full Jacobian"
    yield _row("softmax_backward", "dZ_bc : dP_bc P_bc", "bc", 4, 4, summary)


def _losses() -> Iterator[Operation]:
    for name, loss in LOSSES.items():
        scalars, code = (loss.parameter or "unused", "keep", "add"), LOSS_CODE[name]
        forward, backward = (Family.LOSS_FORWARD, code), (Family.LOSS_BACKWARD, code)
        yield _row(f"{name}_forward", "l_b : A_bc Y_bc", "bc", 20, 6, f"{name} of each row", scalars, forward)
        summary = f"gradient of {name} by A, times s by rows"
        yield _row(f"{name}_backward", "dA_bc : A_bc Y_bc s_b", "bc", 20, 6, summary, scalars, backward)
    scalars = ("unused", "keep", "add")
    for name, facts in ROW_LOSSES.items():
        y, code = "y_b" if facts.classes else "Y_bc", LOSS_CODE[name]
        if facts.softmax:
            forward, backward = (Family.CROSSENTROPY_FORWARD, code), (Family.CROSSENTROPY_BACKWARD, code)
            summary = "crossentropy from logits and its softmax"
            yield _row(f"{name}_forward", f"l_b P_bc : Z_bc {y}", "bc", 24, 4, summary, scalars, forward)
            summary = "dZ = (P sum(Y) - Y) s"
            yield _row(f"{name}_backward", f"dZ_bc : P_bc {y} s_b", "bc", 4, 4, summary, scalars, backward)
        else:
            forward, backward = (Family.LOSS_FORWARD, code), (Family.LOSS_BACKWARD, code)
            summary = "crossentropy of probabilities, renormalised and clipped"
            yield _row(f"{name}_forward", f"l_b : A_bc {y}", "bc", 24, 4, summary, scalars, forward)
            summary = "its gradient by A, times s by rows"
            yield _row(f"{name}_backward", f"dA_bc : A_bc {y} s_b", "bc", 24, 6, summary, scalars, backward)


def _metrics() -> Iterator[Operation]:
    for name in ROW_METRICS:
        y = "y_b" if name == "sparse_categorical_accuracy" else "Y_bc"
        bound = 1 if name == "binary_accuracy" else 0  # the mean over the outputs is rounded
        place = Family.METRIC, METRIC_CODE[name]
        yield _row(name, f"r_b : A_bc {y}", "bc", 2, bound, f"{name} of each row", (), place)
    summary = "adds a row's share of sum w y, sum w y^2, sum w (y - a)^2 by output, then of sum w, in row order"
    yield _row("r2_sums", "total_t* : A_bc Y_bc w_b", "bc", 8, 8, summary)
    yield _row("weighted_sum", "total_1* : l_b w_b", "b", 2, 2, "total += w l, in row order, float64")
    yield _row("row_scale", "s_b : w_b", "b", 1, 1, "s = w * factor", ("factor",))


def _steps() -> Iterator[Operation]:
    yield _row("sum_abs", "total_1* : w_p", "p", 1, 8, "total += sum |w|: 16 lanes in blocks of 4096, float64")
    yield _row("sum_squares", "total_1* : w_p", "p", 2, 8, "total += sum w^2, likewise")
    yield _row("penalty_backward", "g_p* : w_p", "p", 4, 2, "g += two_l2 w + l1 sign(w)", ("l1", "two_l2"))
    yield _row("decay_step", "theta_p* :", "p", 2, 1, "theta += factor theta", ("factor",))
    for name, optimizer in OPTIMIZERS.items():
        slots = " ".join(f"{letter}_p*" for letter, _ in zip("mvu", optimizer.slots, strict=False))
        place = Family.OPTIMIZER_STEP, OPTIMIZER_CODE[name]
        signature = f"theta_p* {slots} : g_p"
        yield _row(f"{name}_step", signature, "p", 12, 4, f"one {name} step", optimizer.scalars, place)


def _normalizations() -> Iterator[Operation]:
    summary, scalars = "A = keep ? Z / (1 - rate) : 0; its own backward", ("rate", "seed", "step", "layer")
    yield _row("dropout", "A_bo : Z_bo", "bo", 1, 1, summary, scalars)
    summary, scalars = "A = odd multiples of 2^-23 from -1 to 1, all alike", ("seed", "step", "layer", "row")
    yield _row("uniform", "A_bo :", "bo", 1, 0, summary, scalars)
    summary = "A = scale Z + offset; its own backward with offset 0"
    yield _row("affine", "A_bo : Z_bo", "bo", 2, 1, summary, ("scale", "offset"))
    summary = "mean and variance over the batch, in two passes"
    yield _row("batch_moments", "mean_o var_o : Z_bo", "bo", 5, 8, summary, ("inverse_b",))
    yield _row("moving_average", "m_o* : x_o", "o", 3, 2, "m += rate (x - m)", ("rate",))
    for name, code in DEVIATION_CODE.items():
        floor = name == "inverse_deviation_floor"
        summary = "inv = 1 / max(sqrt(var), epsilon)" if floor else "inv = 1 / sqrt(var + epsilon)"
        yield _row(name, "inv_o : var_o", "o", 3, 2, summary, ("epsilon",), (Family.INVERSE_DEVIATION, code))
    signature = "A_bo : Z_bo mean_o inv_o gamma_o beta_o"
    yield _row("standardize_forward", signature, "bo", 4, 2, "A = (Z - mean) inv gamma + beta")
    yield _row("standardize_backward", "dZ_bo : dA_bo inv_o gamma_o", "bo", 2, 2, "dZ = dA inv gamma")
    signature = "A_bo N_bo : Z_bo mean_o inv_o gamma_o beta_o"
    yield _row("batch_norm_forward", signature, "bo", 4, 2, "N = (Z - mean) inv, A = N gamma + beta")
    yield _row("scale_backward", "dg_o : dA_bo N_bo", "bo", 2, 4, "dg = sum of dA N over the batch")
    signature, summary = "dZ_bo : dA_bo N_bo inv_o gamma_o db_o dg_o", "dZ = inv gamma (dA - db / B - N dg / B)"
    yield _row("batch_norm_backward", signature, "bo", 6, 3, summary, ("inverse_b",))
    signature, summary = "A_bo N_bo inv_b : Z_bo gamma_o beta_o", "N = (Z - mean) inv by rows, A = N gamma + beta"
    yield _row("layer_norm_forward", signature, "bo", 8, 3, summary, ("epsilon", "inverse_o"))
    signature = "dZ_bo : dA_bo N_bo inv_b gamma_o"
    summary = "dZ = inv (g - mean of g - N mean of g N) by rows, g = dA gamma"
    yield _row("layer_norm_backward", signature, "bo", 10, 4, summary, ("inverse_o",))


def _row_wise() -> Iterator[Operation]:
    for name, layer in ROW_WISE.items():
        code, vectors = ROW_WISE_CODE[name], "".join(f" {vector}_o" for vector in layer.vectors)
        saved, constants = "A" if layer.saved == "output" else "Z", layer.constants
        signature, place = f"A_bo : Z_bo{vectors}", (Family.ROW_WISE_FORWARD, code)
        yield _row(f"{name}_forward", signature, "bo", 16, 6, f"A = {name}(Z), by rows", constants, place)
        signature, place = f"dZ_bo : dA_bo {saved}_bo{vectors}", (Family.ROW_WISE_BACKWARD, code)
        yield _row(f"{name}_backward", signature, "bo", 16, 6, f"dZ from dA and {saved}, by rows", constants, place)
        for vector in layer.vectors:
            signature, summary = f"d{vector}_o : dA_bo {saved}_bo", f"the gradient of {vector}: a sum over the batch"
            place = Family.VECTOR_BACKWARD, VECTOR_GRADIENT_CODE[name, vector]
            yield _row(f"{name}_{vector}_backward", signature, "bo", 4, 4, summary, (), place)


def _merges() -> Iterator[Operation]:
    for name, code in BINARY_CODE.items():
        bound = BINARY[name].bound
        yield _row(name, "C_bo : A_bo B_bo", "bo", 1, bound, f"C = {name}(A, B)", (), (Family.BINARY, code))
    for (name, side), code in BINARY_GRADIENT_CODE.items():
        signature, summary = f"d{'AB'[side == 'right']}_bo : dC_bo A_bo B_bo", f"the gradient of {name}'s {side} side"
        place = Family.BINARY_BACKWARD, code
        yield _row(f"{name}_{side}_backward", signature, "bo", 2, max(BINARY[name].bound, 2), summary, (), place)
    yield _row("copy", "A_bo : Z_bo", "bo", 0, 0, "A = Z: columns of wider rows")
    yield _row("fill", "A_bo :", "bo", 0, 0, "A = value", ("value",))
    yield _row("row_sum", "s_b : Z_bo", "bo", 1, 4, "s = the sum of Z over each row, 16 lanes")
    yield _row("repeat", "A_bo : s_b", "bo", 0, 0, "A = s in every column")
    summary = "A = the rows of W that the class numbers y name, beside each other"
    yield _row("embedding_forward", "A_be : y_bn W_vd", "be", 0, 0, summary)
    summary = "dW += the parts of dA where its rows were taken, by row, then by position in the row"
    yield _row("embedding_backward", "dW_vd* : y_bn dA_be", "be", 1, 4, summary)


def _clips() -> Iterator[Operation]:
    yield _row("clip_value", "g_p* :", "p", 2, 0, "g within -limit and limit", ("limit",))
    yield _row("gradient_scale", "g_p* :", "p", 1, 1, "g *= factor", ("factor",))


_GROUPS = (_products, _activations, _losses, _metrics, _steps, _normalizations, _row_wise, _merges, _clips)

OPERATIONS: dict[str, Operation] = {row.name: row for rows in _GROUPS for row in rows()}


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
