"""The enumerations of `core/plan.py` and their kin for compiled code: what Numba reads from a module is a constant."""

from __future__ import annotations

from enum import IntEnum
from types import ModuleType
from typing import Any

from ...core import instructions, operations, plan
from ...core.losses import LOSS_NAMES, METRIC_NAMES
from .. import operators
from . import call


def plain(enumeration: type[IntEnum]) -> Any:
    """The members as plain integers: compiling those of an enumeration takes longer."""
    module = ModuleType(enumeration.__name__)
    vars(module).update({member.name: int(member) for member in enumeration})
    return module


Column, Kind, Fused, Role, Clip, Scalar, Counter, Phase = (
    plain(enumeration)
    for enumeration in (plan.Column, plan.Kind, plan.Fused, plan.Role, plan.Clip, plan.Scalar, plan.Counter, plan.Phase)
)
LossEntry, MetricEntry, ParameterEntry, InputEntry, OptimizerEntry = (
    plain(enumeration)
    for enumeration in (plan.LossEntry, plan.MetricEntry, plan.ParameterEntry, plan.InputEntry, plan.OptimizerEntry)
)
Slot, Family, Mode = plain(instructions.Slot), plain(operations.Family), plain(operators.Mode)
Entry, CallEntry, ArrayEntry = plain(call.Entry), plain(call.CallEntry), plain(call.ArrayEntry)

SUM_LOSS, SUM_COUNT = plan.SUM_LOSS, plan.SUM_COUNT
ADD = plan.BINARY_CODE["add"]
RELU = plan.ACTIVATION_CODE["relu"]
LOGITS = LOSS_NAMES.index("softmax_crossentropy")  # this code and the next are crossentropies from logits
R2_SCORE = METRIC_NAMES.index("r2_score")
