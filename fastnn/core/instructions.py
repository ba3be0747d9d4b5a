"""What each kind of instruction does: the operations that it is, and where their arguments lie.

Programs dispatch by this table: `backends/passes.py` takes the arrays of the places, `backends/compiled.py` their
addresses, once, so that a compiled program runs operations and knows no layer. Some kinds have code of their own there:
a DENSE, which is fused with what stands beside it, and a DROPOUT and a RANDOM, whose numbers depend on the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from .binary import BINARY
from .formulas import ELEMENTWISE
from .operations import OPERATIONS, Operation
from .plan import DEVIATION_CODE, BatchVector, Column, Kind, ParameterEntry, Plan, Role, padded
from .rowwise import ROW_WISE, VECTOR_GRADIENTS


class Call(NamedTuple):
    """An operation by its name, in which {} stands for that of the instruction's code, with the arguments of its row.

    `arrays` are names of `PLACES`, of which an operation with fewer takes the first. `scalars` are numbers, or names of
    the instruction's constants, "inverse_outputs" (1 / width), INVERSE_ROWS, or "constants", which are all of them.
    """

    operation: str
    arrays: str
    scalars: tuple[str | float, ...] = ()


INVERSE_ROWS = "inverse_rows"  # 1 / the rows of the batch, which only a step knows


class Slot(IntEnum):
    """Where an instruction's calls stand among those of a compiled program."""

    FORWARD = 0
    INFERENCE = 1
    BACKWARD = 2  # at most two
    FORWARD_COLUMNS = 4  # at most four
    INFERENCE_COLUMNS = 8
    BACKWARD_COLUMNS = 9  # at most two
    WIDTH = 11


class Instruction(NamedTuple):
    """One kind.

    `forward` is what it does in training, `inference` otherwise, where that differs; `backward` are one call or two, of
    which a plan leaves out those whose result nobody wants. `forward_columns`,
    `inference_columns` and `backward_columns` come before them and before `backward`: they read all rows of the batch,
    so that a team meets before and after them and shares their columns; those of inference read what no step changes.
    `constants` are the names of its numbers, `names` what its code chooses from. `own_gradient`: the gradient of its
    source may not lie where that of its output does, which is read again. `overwritable`: no derivative reads its
    output.
    """

    forward: Call | None
    backward: tuple[Call, ...]
    inference: Call | None = None
    forward_columns: tuple[Call, ...] = ()
    inference_columns: tuple[Call, ...] = ()
    backward_columns: tuple[Call, ...] = ()
    constants: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    own_gradient: bool = False
    overwritable: bool = False


# Where an array lies: in which vector, the column of the instruction that says where there (of the batch: which of its
# vectors), and the column with its width; without one it is one element a row. Of PARTS, the column with the width of
# the rows in which they are the columns from OFFSET on.
PLACES: dict[str, tuple[str, Column | BatchVector, Column | None]] = {
    "source": ("rows", Column.SRC, Column.INPUTS),
    "second": ("rows", Column.SECOND, Column.OUTPUTS),
    "source_part": ("rows", Column.SRC, Column.OUTPUTS),
    "output_part": ("rows", Column.DST, Column.INPUTS),
    "source_column": ("rows", Column.SRC, None),
    "output_column": ("rows", Column.DST, None),
    "source_gradient_part": ("rows", Column.GRAD_SRC, Column.OUTPUTS),
    "output_gradient_part": ("rows", Column.GRAD_DST, Column.INPUTS),
    "source_gradient_column": ("rows", Column.GRAD_SRC, None),
    "output_gradient_column": ("rows", Column.GRAD_DST, None),
    "second_gradient": ("rows", Column.GRAD_SECOND, Column.OUTPUTS),
    "output": ("rows", Column.DST, Column.OUTPUTS),
    "saved": ("rows", Column.SAVED, Column.OUTPUTS),
    "inverse": ("rows", Column.INVERSE, None),
    "source_gradient": ("rows", Column.GRAD_SRC, Column.INPUTS),
    "output_gradient": ("rows", Column.GRAD_DST, Column.OUTPUTS),
    "kernel": ("theta", Column.KERNEL, Column.OUTPUTS),
    "table": ("theta", Column.KERNEL, Column.OUTPUTS),
    "bias": ("theta", Column.BIAS, Column.OUTPUTS),
    "gamma": ("theta", Column.KERNEL, Column.OUTPUTS),
    "beta": ("theta", Column.BIAS, Column.OUTPUTS),
    "vector_0": ("theta", Column.KERNEL, Column.OUTPUTS),
    "vector_1": ("theta", Column.BIAS, Column.OUTPUTS),
    "moving_mean": ("statistics", Column.MEAN, Column.OUTPUTS),
    "moving_variance": ("statistics", Column.VARIANCE, Column.OUTPUTS),
    "batch_mean": ("batch", BatchVector.MEAN, Column.OUTPUTS),
    "batch_variance": ("batch", BatchVector.VARIANCE, Column.OUTPUTS),
    "deviation": ("batch", BatchVector.INVERSE, Column.OUTPUTS),
    "beta_gradient": ("batch", BatchVector.BETA_GRADIENT, Column.OUTPUTS),
    "gamma_gradient": ("batch", BatchVector.GAMMA_GRADIENT, Column.OUTPUTS),
}
PARTS = {
    "source_part": Column.INPUTS,
    "source_gradient_part": Column.INPUTS,
    "output_part": Column.OUTPUTS,
    "output_gradient_part": Column.OUTPUTS,
}

_STANDARDIZE = Call("standardize_forward", "output source moving_mean deviation gamma beta")
_STANDARDIZE_COLUMNS = (Call("{}", "deviation moving_variance", ("epsilon",)),)

INSTRUCTIONS: dict[Kind, Instruction] = {
    Kind.DENSE: Instruction(
        Call("dense_forward", "output source kernel bias"),
        (Call("gemm_nt", "source_gradient output_gradient kernel"),),
        own_gradient=True,
        overwritable=True,
    ),
    Kind.ACTIVATION: Instruction(
        Call("{}_forward", "output source", ("parameter",)),
        (Call("{}_backward", "source_gradient output_gradient saved", ("parameter",)),),
        constants=("parameter",),
        names=tuple(ELEMENTWISE),
    ),
    Kind.SOFTMAX: Instruction(
        Call("softmax_forward", "output source"),
        (Call("softmax_backward", "source_gradient output_gradient saved"),),
    ),
    Kind.DROPOUT: Instruction(
        Call("dropout", "output source", ("rate",)),
        (Call("dropout", "source_gradient output_gradient", ("rate",)),),
        constants=("rate",),
    ),
    Kind.AFFINE: Instruction(
        Call("affine", "output source", ("scale", "offset")),
        (Call("affine", "source_gradient output_gradient", ("scale", 0.0)),),
        constants=("scale", "offset"),
        overwritable=True,
    ),
    Kind.STANDARDIZE: Instruction(
        _STANDARDIZE,
        (Call("standardize_backward", "source_gradient output_gradient deviation gamma"),),
        inference_columns=_STANDARDIZE_COLUMNS,
        constants=("epsilon",),
        names=tuple(DEVIATION_CODE),
        overwritable=True,
    ),
    Kind.BATCH_NORM: Instruction(
        Call("batch_norm_forward", "output saved source batch_mean deviation gamma beta"),
        (
            Call(
                "batch_norm_backward",
                "source_gradient output_gradient saved deviation gamma beta_gradient gamma_gradient",
                (INVERSE_ROWS,),
            ),
        ),
        inference=_STANDARDIZE,
        forward_columns=(
            Call("batch_moments", "batch_mean batch_variance source", (INVERSE_ROWS,)),
            Call("{}", "deviation batch_variance", ("epsilon",)),
            Call("moving_average", "moving_mean batch_mean", ("rate",)),
            Call("moving_average", "moving_variance batch_variance", ("rate",)),
        ),
        inference_columns=_STANDARDIZE_COLUMNS,
        backward_columns=(
            Call("bias_backward", "beta_gradient output_gradient"),
            Call("scale_backward", "gamma_gradient output_gradient saved"),
        ),
        constants=("epsilon", "rate"),
        names=tuple(DEVIATION_CODE),
        own_gradient=True,
        overwritable=True,
    ),
    Kind.LAYER_NORM: Instruction(
        Call("layer_norm_forward", "output saved inverse source gamma beta", ("epsilon", "inverse_outputs")),
        (Call("layer_norm_backward", "source_gradient output_gradient saved inverse gamma", ("inverse_outputs",)),),
        constants=("epsilon",),
        own_gradient=True,
        overwritable=True,
    ),
    Kind.ROW_WISE: Instruction(
        Call("{}_forward", "output source vector_0 vector_1", ("constants",)),
        (Call("{}_backward", "source_gradient output_gradient saved vector_0 vector_1", ("constants",)),),
        names=tuple(ROW_WISE),
        own_gradient=True,
    ),
    Kind.BINARY: Instruction(
        Call("{}", "output source second"),
        (
            Call("{}_left_backward", "source_gradient output_gradient source second"),
            Call("{}_right_backward", "second_gradient output_gradient source second"),
        ),
        names=tuple(BINARY),
        overwritable=True,
    ),
    Kind.JOIN: Instruction(
        Call("copy", "output_part source"),
        (Call("copy", "source_gradient output_gradient_part"),),
        own_gradient=True,
        overwritable=True,
    ),
    Kind.SLICE: Instruction(
        Call("copy", "output source_part"),
        (Call("fill", "source_gradient", (0.0,)), Call("copy", "source_gradient_part output_gradient")),
        own_gradient=True,
        overwritable=True,
    ),
    Kind.ROW_SUM: Instruction(
        Call("row_sum", "output_column source"),
        (Call("repeat", "source_gradient output_gradient_column"),),
        own_gradient=True,
        overwritable=True,
    ),
    Kind.REPEAT: Instruction(
        Call("repeat", "output source_column"),
        (Call("row_sum", "source_gradient_column output_gradient"),),
        own_gradient=True,
        overwritable=True,
    ),
    Kind.EMBEDDING: Instruction(Call("embedding_forward", "output source table"), (), overwritable=True),
    Kind.FILL: Instruction(Call("fill", "output", ("value",)), (), constants=("value",), overwritable=True),
    Kind.RANDOM: Instruction(Call("uniform", "output"), (), overwritable=True),
    Kind.FAN: Instruction(None, (Call("add", "source_gradient output_gradient second_gradient"),)),
}

# What makes the gradient of a parameter, which is the first array; {} is its code's name.
GRADIENTS: dict[Role, Call] = {
    Role.KERNEL: Call("gemm_tn", "source output_gradient"),
    Role.BIAS: Call("bias_backward", "output_gradient"),
    Role.SCALE: Call("scale_backward", "output_gradient saved"),
    Role.VECTOR: Call("{}_backward", "output_gradient saved"),
    Role.TABLE: Call("embedding_backward", "source output_gradient"),
}


def gradient_of(row: Sequence[int]) -> tuple[Operation, list[str]]:
    """The operation that makes the gradient of a row of the parameter table, and the places that it reads."""
    call, code = GRADIENTS[Role(row[ParameterEntry.ROLE])], int(row[ParameterEntry.CODE])
    vector = "_".join(VECTOR_GRADIENTS[code]) if code >= 0 else ""
    return OPERATIONS[call.operation.format(vector)], call.arrays.split()


def operation_of(row: Sequence[int], call: Call) -> Operation:
    """The operation of an instruction's call; a DENSE without a bias is a plain product."""
    kind = Kind(row[Column.KIND])
    if kind == Kind.DENSE and call is INSTRUCTIONS[kind].forward and row[Column.BIAS] < 0:
        return OPERATIONS["gemm_nn"]
    names = INSTRUCTIONS[kind].names
    return OPERATIONS[call.operation.format(names[row[Column.CODE]]) if names else call.operation]


class Place(NamedTuple):
    """Where an array of an instruction begins: a unit of the workspace for "rows", an element of any other vector; and
    the elements of one row. A part of rows that have `whole` elements, as one of a joined value is, is the columns from
    `offset` on."""

    vector: str  # "rows" | "theta" | "statistics" | "batch", which is the fixed part of the workspace
    start: int
    width: int
    whole: int
    offset: int = 0


def place(row: Sequence[int], name: str) -> Place:
    """Where the array of a name of `PLACES` lies for an instruction."""
    vector, which, width = PLACES[name]
    elements = int(row[width]) if width is not None else 1
    if name == "table":
        elements //= int(row[Column.INPUTS])
    if isinstance(which, BatchVector):
        return Place(vector, int(row[Column.STATISTICS]) + which * padded(elements), elements, elements)
    if name in PARTS:
        return Place(vector, int(row[which]), elements, int(row[PARTS[name]]), int(row[Column.OFFSET]))
    for dst, whole, offset in (
        (Column.DST, Column.WHOLE, Column.OFFSET),
        (Column.GRAD_DST, Column.GRAD_WHOLE, Column.GRAD_OFFSET),
    ):
        # What lies where dst does is dst, or its source in place.
        if vector == "rows" and row[which] == row[dst] and row[whole] > row[Column.OUTPUTS]:
            return Place(vector, int(row[which]), elements, int(row[whole]), int(row[offset]))
    return Place(vector, int(row[which]), elements, elements)


def backward_calls(row: Sequence[int]) -> list[Call]:
    """Those of an instruction whose result somebody wants."""
    calls = INSTRUCTIONS[Kind(row[Column.KIND])].backward
    return [call for call in calls if place(row, call.arrays.split()[0]).start >= 0]


def scalars(plan: Plan, row: Sequence[int], call: Call, rows: int) -> tuple[float, ...]:
    """The scalars of an instruction's call in a batch of so many rows."""
    first, names = int(row[Column.CONSTANT]), INSTRUCTIONS[Kind(row[Column.KIND])].constants
    values: list[float] = []
    for scalar in call.scalars:
        if scalar == "constants":
            count = len(operation_of(row, call).scalars)
            values += plan.constants[first : first + count].tolist()
        elif scalar == INVERSE_ROWS:
            values.append(1.0 / rows)
        elif scalar == "inverse_outputs":
            values.append(1.0 / int(row[Column.OUTPUTS]))
        elif isinstance(scalar, str):
            values.append(float(plan.constants[first + names.index(scalar)]) if first >= 0 else 0.0)
        else:
            values.append(scalar)
    return tuple(values)
