"""Normalization by the batch, by rows and by moving averages, and sums over the batch."""

from __future__ import annotations

from typing import Any

from ...core import formulas as fo
from .specs import Columns, Fold, Map, Rows, Spec, sum_of


def _standardize(o: Any, e: Any) -> Any:
    return (o.fma(fo.standardized(o, e.Z, e.mean, e.inv), e.gamma, e.beta),)


def _batch_norm(o: Any, e: Any) -> Any:
    n = fo.standardized(o, e.Z, e.mean, e.inv)
    return o.fma(n, e.gamma, e.beta), n


def _batch_norm_slope(o: Any, e: Any) -> Any:
    return (fo.batch_norm_slope(o, e.dA, e.N, e.inv, e.gamma, e.db, e.dg, e.inverse_b),)


def _deviation_squares(o: Any, total: Any, e: Any) -> Any:
    d = e.Z - e.sums[0] * e.inverse_b
    return o.fma(d, d, total)


def _moments(o: Any, e: Any) -> Any:
    return e.sums[0] * e.inverse_b, e.sums[1] * e.inverse_b


# By rows: of the forward pass e.sums are the sum of Z and that of the squares of its deviations.


def _deviation(o: Any, e: Any) -> Any:
    return o.fma(-e.sums[0], e.inverse_o, e.Z)


def _row_squares(o: Any, lane: Any, e: Any) -> Any:
    d = _deviation(o, e)
    return o.fma(d, d, lane)


def _row_inverse(o: Any, e: Any) -> Any:
    return 1.0 / o.sqrt(o.fma(e.sums[1], e.inverse_o, e.epsilon))


def _layer_norm(o: Any, e: Any) -> Any:
    n = _deviation(o, e) * _row_inverse(o, e)
    return o.fma(n, e.gamma, e.beta), n


def _layer_norm_slope(o: Any, e: Any) -> Any:
    m1, m2 = (total * e.inverse_o for total in e.sums)
    return (fo.layer_norm_slope(o, e.dA, e.N, e.inv, e.gamma, m1, m2),)


def specs() -> dict[str, Spec]:
    """Of the families from BATCH_MOMENTS to LAYER_NORM_BACKWARD, and BIAS_BACKWARD."""
    return {
        "bias_backward": Columns((lambda o, total, e: total + e.dZ,), lambda o, e: (e.sums[0],)),
        "scale_backward": Columns((lambda o, total, e: o.fma(e.dA, e.N, total),), lambda o, e: (e.sums[0],)),
        "batch_moments": Columns((lambda o, total, e: total + e.Z, _deviation_squares), _moments),
        "moving_average": Map(lambda o, e: (fo.moving_average(o, e.m, e.x, e.rate),)),
        "inverse_deviation": Map(lambda o, e: (fo.inverse_deviation(o, e.var, e.epsilon),)),
        "inverse_deviation_floor": Map(lambda o, e: (fo.inverse_deviation_floor(o, e.var, e.epsilon),)),
        "standardize_forward": Map(_standardize),
        "standardize_backward": Map(lambda o, e: (fo.standardize_slope(o, e.dA, e.inv, e.gamma),)),
        "batch_norm_forward": Map(_batch_norm),
        "batch_norm_backward": Map(_batch_norm_slope),
        "layer_norm_forward": Rows(
            (sum_of(lambda e: e.Z), Fold(_row_squares)), _layer_norm, lambda o, e: (_row_inverse(o, e),)
        ),
        "layer_norm_backward": Rows(
            (
                Fold(lambda o, lane, e: o.fma(e.dA, e.gamma, lane)),
                Fold(lambda o, lane, e: o.fma(e.dA * e.gamma, e.N, lane)),
            ),
            _layer_norm_slope,
        ),
    }
