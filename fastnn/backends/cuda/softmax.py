"""What needs a whole row of classes: softmax, the crossentropies, and the accuracies by argmax."""

from __future__ import annotations

from typing import Any

from ...core import arithmetic as ar
from ...core.arithmetic import INFINITY
from ...core.losses import PROBABILITY_FLOOR
from .specs import Fold, Formula, Rows, Spec, maximum_of, sum_of


def _smoothed(o: Any, e: Any) -> Any:
    return o.fma(e.Y, e.keep, e.add)


def _one_hot(o: Any, e: Any) -> Any:
    return o.select(e.column == e.y, 1.0, o.constant(0.0))


# --- from logits: e.sums are the maximum of Z and the sum of e^(Z - max) ----------------------------------------------

_MAXIMUM = maximum_of(lambda e: e.Z)
_EXPONENTIALS = Fold(lambda o, lane, e: lane + ar.exp(o, e.Z - e.sums[0]))


def _probability(o: Any, e: Any) -> Any:
    return (ar.exp(o, e.Z - e.sums[0]) * (1.0 / e.sums[1]),)


def _lost(o: Any, e: Any) -> Any:
    return ar.log(o, e.sums[1]) - (e.Z - e.sums[0])


def _softmax_slope(o: Any, e: Any) -> Any:
    return (e.P * (e.dP - e.sums[0]),)


def _of_logits() -> dict[str, Spec]:
    def crossentropy(step: Formula) -> Spec:
        return Rows((_MAXIMUM, _EXPONENTIALS, Fold(step)), _probability, lambda o, e: (e.sums[2],))

    return {
        "softmax_forward": Rows((_MAXIMUM, _EXPONENTIALS), _probability),
        "softmax_backward": Rows((Fold(lambda o, lane, e: o.fma(e.dP, e.P, lane)),), _softmax_slope),
        "softmax_crossentropy_forward": crossentropy(lambda o, lane, e: o.fma(_smoothed(o, e), _lost(o, e), lane)),
        "sparse_softmax_crossentropy_forward": crossentropy(
            lambda o, lane, e: lane + o.select(e.column == e.y, _lost(o, e), 0.0)
        ),
        "softmax_crossentropy_backward": Rows(
            (Fold(lambda o, lane, e: lane + _smoothed(o, e)),),
            lambda o, e: (o.fma(e.P, e.sums[0], -_smoothed(o, e)) * e.s,),
        ),
        "sparse_softmax_crossentropy_backward": Rows((), lambda o, e: ((e.P - _one_hot(o, e)) * e.s,)),
    }


# --- from probabilities: e.sums[0] is the sum of A --------------------------------------------------------------------


def _of_probabilities(target: Formula) -> tuple[Rows, Rows]:
    """Forward and backward, with the targets that a formula gives."""

    def normalised(o: Any, e: Any) -> Any:
        inverse = 1.0 / e.sums[0]
        q = e.A * inverse
        return inverse, q, ar.clip(o, q, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)

    def slope(o: Any, e: Any) -> Any:
        inverse, q, clipped = normalised(o, e)
        return inverse, q, o.select(q != clipped, 0.0, -target(o, e) / clipped)

    def value(o: Any, lane: Any, e: Any) -> Any:
        _, _, clipped = normalised(o, e)
        return o.fma(-target(o, e), ar.log(o, clipped), lane)

    def shared(o: Any, lane: Any, e: Any) -> Any:
        _, q, g = slope(o, e)
        return o.fma(g, q, lane)

    def gradient(o: Any, e: Any) -> Any:
        inverse, _, g = slope(o, e)
        return (((g - e.sums[1]) * inverse) * e.s,)

    total = sum_of(lambda e: e.A)
    return Rows((total, Fold(value)), None, lambda o, e: (e.sums[1],)), Rows((total, Fold(shared)), gradient)


# --- accuracies -------------------------------------------------------------------------------------------------------


def _arg_max(name: str, place: int) -> tuple[Fold, Fold]:
    """The maximum of an array's row, as the sum of that place, and the first column that holds it; the number of
    columns where none does."""

    def first(o: Any, lane: Any, e: Any) -> Any:
        here = o.select(getattr(e, name) == e.sums[place], e.column, e.columns)
        return o.select(here < lane, here, lane)

    join = lambda o, a, b: o.select(b < a, b, a)  # noqa: E731
    return maximum_of(lambda e: getattr(e, name)), Fold(first, INFINITY, join)


def _within(o: Any, e: Any, at: Any) -> Any:
    """What a fold from infinity leaves of a row without columns, too."""
    return o.select(at < e.columns, at, e.columns)


def _same_class(o: Any, e: Any) -> Any:
    return (o.select(_within(o, e, e.sums[1]) == _within(o, e, e.sums[3]), 1.0, o.constant(0.0)),)


def specs() -> dict[str, Spec]:
    """Of softmax, the crossentropies and the accuracies by argmax."""
    forward, backward = _of_probabilities(_smoothed)
    sparse_forward, sparse_backward = _of_probabilities(_one_hot)
    return _of_logits() | {
        "categorical_crossentropy_forward": forward,
        "categorical_crossentropy_backward": backward,
        "sparse_categorical_crossentropy_forward": sparse_forward,
        "sparse_categorical_crossentropy_backward": sparse_backward,
        "categorical_accuracy": Rows((*_arg_max("A", 0), *_arg_max("Y", 2)), None, _same_class),
        "sparse_categorical_accuracy": Rows(
            _arg_max("A", 0), None, lambda o, e: (o.select(_within(o, e, e.sums[1]) == e.y, 1.0, o.constant(0.0)),)
        ),
    }
