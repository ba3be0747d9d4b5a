"""Lowering: declarations become a `Plan`. A layer's `lower` calls a `Lowering`'s methods, which collect instructions on
values; `finish` gives them buffers (`buffers.py`) and gives the plan."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .buffers import Value
from .collecting import Collecting
from .formulas import ELEMENTWISE
from .plan import (
    ACTIVATION_CODE,
    BINARY_CODE,
    DEVIATION_CODE,
    ROW_WISE_CODE,
    VECTOR_GRADIENT_CODE,
    BatchVector,
    Kind,
    ParameterEntry,
    padded,
)
from .rowwise import ROW_WISE
from .specs import TRAINED, ParameterSpec


class Lowering(Collecting):
    """What layers call: each method reads `value`, the last value made unless another is set."""

    # layers of one value

    def dense(
        self, layer: str, units: int, kernel: ParameterSpec = TRAINED, bias: ParameterSpec | None = TRAINED
    ) -> None:
        """Z_bo = X_bi W_io + b_o."""
        W = self._parameter(layer, "kernel", (self.value.width, units), kernel)
        b = self._parameter(layer, "bias", (units,), bias) if bias is not None else -1
        self._emit(Kind.DENSE, units, KERNEL=W, BIAS=b)

    def activation(self, name: str, parameter: float = 0.0) -> None:
        """A = f(Z) by a name of `formulas.ELEMENTWISE`, of a layer of `rowwise.ROW_WISE` without parameters, "softmax",
        or "linear" (nothing)."""
        if name == "linear":
            return
        if name == "softmax":
            self._emit(Kind.SOFTMAX, self.value.width)
            return
        if name in ROW_WISE:
            self.row_wise(name)
            return
        constant = self._constant(parameter) if ELEMENTWISE[name].parameter else -1
        code = ACTIVATION_CODE[name]
        self._emit(Kind.ACTIVATION, self.value.width, saved=ELEMENTWISE[name].saved, CODE=code, CONSTANT=constant)

    def dropout(self, rate: float) -> None:
        """A = keep ? A / (1 - rate) : 0 in training."""
        if rate > 0.0:
            self._emit(Kind.DROPOUT, self.value.width, saved="", CONSTANT=self._constant(rate))

    def affine(self, scale: float, offset: float) -> None:
        """A = Z * scale + offset."""
        self._emit(Kind.AFFINE, self.value.width, CONSTANT=self._constant(scale, offset))

    def standardize(self, layer: str, epsilon: float) -> None:
        """A = (Z - mean) / max(sqrt(variance), epsilon), of statistics that training does not change."""
        gamma, beta = self._hide(layer, "gamma", 1.0), self._hide(layer, "beta", 0.0)
        code, moving = DEVIATION_CODE["inverse_deviation_floor"], self._moving(layer, "mean", "variance")
        self._normalize(Kind.STANDARDIZE, gamma, beta, self._constant(epsilon), CODE=code, **moving)

    def batch_norm(
        self,
        layer: str,
        momentum: float,
        epsilon: float,
        gamma: ParameterSpec | None = TRAINED,
        beta: ParameterSpec | None = TRAINED,
        trainable: bool = True,
    ) -> None:
        """A = (Z - mean) / sqrt(variance + epsilon) * gamma + beta: of the batch in training, of its moving averages
        otherwise, and always if the layer is not trainable."""
        scale, offset = self._vector(layer, "gamma", gamma, 1.0), self._vector(layer, "beta", beta, 0.0)
        kind, constant = Kind.BATCH_NORM if trainable else Kind.STANDARDIZE, self._constant(epsilon, 1.0 - momentum)
        code, moving = DEVIATION_CODE["inverse_deviation"], self._moving(layer, "moving_mean", "moving_variance")
        if trainable:
            made = {"gamma": BatchVector.GAMMA_GRADIENT, "beta": BatchVector.BETA_GRADIENT}
            for name, vector in made.items():
                if uses := self._uses.get((self.label or layer, name)):
                    uses[-1][ParameterEntry.MADE] = moving["STATISTICS"] + vector * padded(self.value.width)
        self._normalize(kind, scale, offset, constant, CODE=code, **moving)

    def layer_norm(
        self,
        layer: str,
        epsilon: float,
        gamma: ParameterSpec | None = TRAINED,
        beta: ParameterSpec | None = TRAINED,
    ) -> None:
        """A = (Z - mean) / sqrt(variance + epsilon) * gamma + beta, of each row."""
        scale, offset = self._vector(layer, "gamma", gamma, 1.0), self._vector(layer, "beta", beta, 0.0)
        self._normalize(Kind.LAYER_NORM, scale, offset, self._constant(epsilon))

    def row_wise(
        self, name: str, layer: str = "", vectors: tuple[ParameterSpec, ...] = (), constants: tuple[float, ...] = ()
    ) -> None:
        """A layer of `rowwise.ROW_WISE`, with a spec for each of its vectors and a value for each of its constants."""
        row = ROW_WISE[name]
        offsets = [
            self._parameter(layer, vector, (self.value.width,), spec, VECTOR_GRADIENT_CODE[name, vector])
            for vector, spec in zip(row.vectors, vectors, strict=True)
        ]
        self._emit(
            Kind.ROW_WISE,
            self.value.width,
            saved=row.saved,
            columns=dict(zip(("KERNEL", "BIAS"), offsets, strict=False)),
            CODE=ROW_WISE_CODE[name],
            CONSTANT=self._constant(*constants) if constants else -1,
        )

    def _vector(self, layer: str, name: str, spec: ParameterSpec | None, constant: float) -> int:
        """A parameter of one number a column, or a constant that nobody trains."""
        if spec is None:
            return self._hide(layer, name, constant)
        return self._parameter(layer, name, (self.value.width,), spec)

    def _normalize(self, kind: Kind, gamma: int, beta: int, constant: int, **columns: int) -> None:
        saved = "output" if kind == Kind.STANDARDIZE else "own"
        self._emit(kind, self.value.width, None, saved, columns, KERNEL=gamma, BIAS=beta, CONSTANT=constant)

    def _moving(self, layer: str, mean: str, variance: str) -> dict[str, int]:
        """The columns of a normalization by statistics of the state."""
        offsets = {"MEAN": self._statistic(layer, mean), "VARIANCE": self._statistic(layer, variance)}
        return offsets | {"STATISTICS": self._scratch(BatchVector.WIDTH * padded(self.value.width))}

    def embedding(self, layer: str, rows: int, width: int, table: ParameterSpec = TRAINED) -> None:
        """Rows of a table (rows, width), one for each of the class numbers of a row, beside each other."""
        W = self._parameter(layer, "embeddings", (rows, width), table)
        self._emit(Kind.EMBEDDING, self.value.width * width, KERNEL=W, TABLE=rows)

    # merging, and shapes

    def binary(self, name: str, second: Value) -> None:
        """A function of `binary.BINARY` of the value and a second one of its width."""
        self._emit(Kind.BINARY, self.value.width, second, CODE=BINARY_CODE[name])

    def merge(self, name: str, values: Sequence[Value]) -> None:
        """A function of `binary.BINARY` of the first with the second, of that with the third, and so on; one column is
        repeated beside several."""
        width = max(value.width for value in values)
        wide = []
        for value in values:
            self.value = value
            if value.width < width:
                self.repeat(width)
            wide.append(self.value)
        self.value = wide[0]
        for value in wide[1:]:
            self.binary(name, value)

    def fill(self, number: float, width: int) -> None:
        """A number in `width` columns."""
        self._emit(Kind.FILL, width, saved="", reads=False, CONSTANT=self._constant(number))

    def random(self, width: int) -> None:
        """Random numbers in `width` columns, between -1 and 1, other ones in each step and each row."""
        self._emit(Kind.RANDOM, width, saved="", reads=False)

    def variable(self, layer: str, shape: tuple[int, ...], spec: ParameterSpec) -> None:
        """A parameter (N,) or () in every row."""
        self.fill(1.0, 1)
        W = self._parameter(layer, "kernel", shape, spec)
        self._emit(Kind.DENSE, math.prod(shape), KERNEL=W)

    def join(self, values: Sequence[Value]) -> None:
        """The columns of several values beside each other."""
        joined, start = self._new(sum(value.width for value in values)), 0
        for value in values:
            self.value = value
            self._emit(Kind.JOIN, joined.width, OFFSET=start)
            self._values.pop()  # all parts are of one value
            self._steps[-1].output = joined
            start += value.width
        self.value = joined

    def columns(self, start: int, stop: int) -> None:
        """Columns start..stop - 1."""
        self._emit(Kind.SLICE, stop - start, OFFSET=start)

    def row_sum(self) -> None:
        """The sum of each row, one column."""
        self._emit(Kind.ROW_SUM, 1)

    def repeat(self, width: int) -> None:
        """A value of one column in `width` columns."""
        self._emit(Kind.REPEAT, width)
