"""What needs a whole row: its sum and maximum, softmax, the crossentropies, and the accuracies by argmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...core import arithmetic as ar
from ...core.algebra import NumpyAlgebra
from ...core.arithmetic import INFINITY, LANES
from ...core.arrays import Array
from ...core.losses import PROBABILITY_FLOOR

Operation = Callable[..., None]


def operations(o: NumpyAlgebra) -> dict[str, Operation]:
    """The rows of the softmax and crossentropy families, and the metrics that compare classes."""
    return _of_logits(o) | _of_probabilities(o) | _accuracies(o)


def _of_logits(o: NumpyAlgebra) -> dict[str, Operation]:
    def softmax_forward(P_bc: Array, Z_bc: Array) -> None:
        P_bc[...] = _softmax(o, Z_bc)[0]

    def softmax_backward(dZ_bc: Array, dP_bc: Array, P_bc: Array) -> None:
        t_b = row_fold(o, o.fma, dP_bc, P_bc)
        dZ_bc[...] = P_bc * (dP_bc - t_b[:, None])

    def crossentropy_forward(
        l_b: Array, P_bc: Array, Z_bc: Array, Y_bc: Array, p: float, keep: float, add: float
    ) -> None:
        Y_bc = o.fma(Y_bc, keep, add)
        probabilities, lost = _softmax(o, Z_bc)
        l_b[...] = row_fold(o, o.fma, Y_bc, lost)
        P_bc[...] = probabilities

    def crossentropy_backward(
        dZ_bc: Array, P_bc: Array, Y_bc: Array, s_b: Array, p: float, keep: float, add: float
    ) -> None:
        Y_bc = o.fma(Y_bc, keep, add)
        dZ_bc[...] = o.fma(P_bc, row_sum(o, Y_bc)[:, None], -Y_bc) * s_b[:, None]

    def sparse_crossentropy_forward(l_b: Array, P_bc: Array, Z_bc: Array, y_b: Array, *_: float) -> None:
        probabilities, lost = _softmax(o, Z_bc)
        l_b[...] = row_sum(o, o.select(_is_class(o, Z_bc, y_b), lost, 0.0))
        P_bc[...] = probabilities

    def sparse_crossentropy_backward(dZ_bc: Array, P_bc: Array, y_b: Array, s_b: Array, *_: float) -> None:
        dZ_bc[...] = (P_bc - _one_hot(o, P_bc, y_b)) * s_b[:, None]

    return {
        "softmax_forward": softmax_forward,
        "softmax_backward": softmax_backward,
        "softmax_crossentropy_forward": crossentropy_forward,
        "softmax_crossentropy_backward": crossentropy_backward,
        "sparse_softmax_crossentropy_forward": sparse_crossentropy_forward,
        "sparse_softmax_crossentropy_backward": sparse_crossentropy_backward,
    }


def _of_probabilities(o: NumpyAlgebra) -> dict[str, Operation]:
    def probability_forward(l_b: Array, A_bc: Array, Y_bc: Array, p: float, keep: float, add: float) -> None:
        _, _, clipped = _normalised(o, A_bc)
        l_b[...] = row_fold(o, o.fma, -o.fma(Y_bc, keep, add), o.apply(ar.log, clipped))

    def probability_backward(
        dA_bc: Array, A_bc: Array, Y_bc: Array, s_b: Array, p: float, keep: float, add: float
    ) -> None:
        inverse, q, clipped = _normalised(o, A_bc)
        g = o.select(q != clipped, 0.0, -o.fma(Y_bc, keep, add) / clipped)
        t_b = row_fold(o, o.fma, g, q)
        dA_bc[...] = ((g - t_b[:, None]) * inverse) * s_b[:, None]

    def sparse_probability_forward(l_b: Array, A_bc: Array, y_b: Array, *_: float) -> None:
        probability_forward(l_b, A_bc, _one_hot(o, A_bc, y_b), 0.0, 1.0, 0.0)

    def sparse_probability_backward(dA_bc: Array, A_bc: Array, y_b: Array, s_b: Array, *_: float) -> None:
        probability_backward(dA_bc, A_bc, _one_hot(o, A_bc, y_b), s_b, 0.0, 1.0, 0.0)

    return {
        "categorical_crossentropy_forward": probability_forward,
        "categorical_crossentropy_backward": probability_backward,
        "sparse_categorical_crossentropy_forward": sparse_probability_forward,
        "sparse_categorical_crossentropy_backward": sparse_probability_backward,
    }


def _accuracies(o: NumpyAlgebra) -> dict[str, Operation]:
    def categorical_accuracy(r_b: Array, A_bc: Array, Y_bc: Array) -> None:
        r_b[...] = o.select(_argmax(o, A_bc) == _argmax(o, Y_bc), 1.0, 0.0)

    def sparse_categorical_accuracy(r_b: Array, A_bc: Array, y_b: Array) -> None:
        r_b[...] = o.select(_argmax(o, A_bc) == y_b, 1.0, 0.0)

    return {"categorical_accuracy": categorical_accuracy, "sparse_categorical_accuracy": sparse_categorical_accuracy}


def row_fold(o: NumpyAlgebra, accumulate: Callable[..., object], *arrays: Array, largest: bool = False) -> Array:
    """lane[c mod 16] = accumulate(elements at c, lane), ascending c, from +0; then the sum of the lanes by halves. Or
    from -inf, then the largest of the lanes: NaN never exceeds."""
    rows, columns = arrays[0].shape
    lanes = np.full((rows, LANES), o.constant(-INFINITY if largest else 0.0))
    for start in range(0, columns, LANES):
        width = min(LANES, columns - start)
        elements = (array[:, start : start + width] for array in arrays)
        lanes[:, :width] = accumulate(*elements, lanes[:, :width])
    return fold_lanes(lanes, lambda left, right: o.select(right > left, right, left) if largest else left + right)


def row_sum(o: NumpyAlgebra, X_bc: Array) -> Array:
    """The sum of each row."""
    return row_fold(o, lambda x, lane: lane + x, X_bc)


def row_max(o: NumpyAlgebra, X_bc: Array) -> Array:
    """The maximum of each row's numbers; -inf where there is none."""
    return row_fold(o, lambda x, lane: o.select(x > lane, x, lane), X_bc, largest=True)


def fold_lanes(lanes: Array, join: Callable[[Array, Array], Array]) -> Array:
    """The lanes of the last axis joined at distances 8, 4, 2, 1."""
    half = LANES // 2
    while half:
        lanes = join(lanes[..., :half], lanes[..., half : 2 * half])
        half //= 2
    return lanes[..., 0]


def _softmax(o: NumpyAlgebra, Z_bc: Array) -> tuple[Array, Array]:
    """The probabilities of each row, and -log of them without leaving the logits' range."""
    shifted = Z_bc - row_max(o, Z_bc)[:, None]
    e = o.value(o.apply(ar.exp, shifted))
    s = row_sum(o, e)[:, None]
    return e * (1.0 / s), o.apply(ar.log, s) - shifted


def _normalised(o: NumpyAlgebra, A_bc: Array) -> tuple[Array, Array, Array]:
    """1 / S, q = A / S and q clipped, with S the sum of each row."""
    inverse = 1.0 / row_sum(o, A_bc)[:, None]
    q = A_bc * inverse
    return inverse, q, o.apply(ar.clip, q, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)


def _is_class(o: NumpyAlgebra, X_bc: Array, y_b: Array) -> Array:
    return np.equal(o.value(np.arange(X_bc.shape[1])), y_b[:, None])


def _one_hot(o: NumpyAlgebra, X_bc: Array, y_b: Array) -> Array:
    return o.select(_is_class(o, X_bc, y_b), 1.0, 0.0)


def _argmax(o: NumpyAlgebra, X_bc: Array) -> Array:
    """The first column that holds the row's maximum; the number of columns where none does."""
    largest = X_bc == row_max(o, X_bc)[:, None]
    return o.value(np.where(largest.any(axis=1), largest.argmax(axis=1) if X_bc.shape[1] else 0, X_bc.shape[1]))
