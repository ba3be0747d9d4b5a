"""Normalization by the batch, by rows and by moving averages, and clipping."""

from __future__ import annotations

from collections.abc import Callable

from ...core import arithmetic as ar
from ...core import formulas as f
from ...core.algebra import NumpyAlgebra
from ...core.arrays import Array
from .gemm import column_dot, product
from .softmax import row_fold, row_sum

Operation = Callable[..., None]


def operations(o: NumpyAlgebra) -> dict[str, Operation]:
    """The rows of the families from AFFINE to GRADIENT_SCALE."""
    return _statistics(o) | _by_statistics(o) | _by_rows(o) | _limits(o)


def _statistics(o: NumpyAlgebra) -> dict[str, Operation]:
    def affine(A_bo: Array, Z_bo: Array, scale: float, offset: float) -> None:
        A_bo[...] = o.apply(f.affine, Z_bo, o.constant(scale), o.constant(offset))

    def batch_moments(mean_o: Array, var_o: Array, Z_bo: Array, inverse_b: float) -> None:
        inverse = o.constant(inverse_b)
        ones = o.constant(1.0)[None, None].repeat(Z_bo.shape[0], axis=1)
        mean_o[...] = product(o, ones, Z_bo)[0] * inverse
        d_bo = Z_bo - mean_o
        var_o[...] = column_dot(o, d_bo, d_bo) * inverse

    def moving_average(m_o: Array, x_o: Array, rate: float) -> None:
        m_o[...] = o.apply(f.moving_average, m_o, x_o, o.constant(rate))

    def inverse_deviation(inv_o: Array, var_o: Array, epsilon: float) -> None:
        inv_o[...] = o.apply(f.inverse_deviation, var_o, o.constant(epsilon))

    def inverse_deviation_floor(inv_o: Array, var_o: Array, epsilon: float) -> None:
        inv_o[...] = o.apply(f.inverse_deviation_floor, var_o, o.constant(epsilon))

    return {
        "affine": affine,
        "batch_moments": batch_moments,
        "moving_average": moving_average,
        "inverse_deviation": inverse_deviation,
        "inverse_deviation_floor": inverse_deviation_floor,
    }


def _by_statistics(o: NumpyAlgebra) -> dict[str, Operation]:
    def standardize_forward(
        A_bo: Array, Z_bo: Array, mean_o: Array, inv_o: Array, gamma_o: Array, beta_o: Array
    ) -> None:
        A_bo[...] = o.fma(o.apply(f.standardized, Z_bo, mean_o, inv_o), gamma_o, beta_o)

    def standardize_backward(dZ_bo: Array, dA_bo: Array, inv_o: Array, gamma_o: Array) -> None:
        dZ_bo[...] = o.apply(f.standardize_slope, dA_bo, inv_o, gamma_o)

    def batch_norm_forward(
        A_bo: Array, N_bo: Array, Z_bo: Array, mean_o: Array, inv_o: Array, gamma_o: Array, beta_o: Array
    ) -> None:
        N_bo[...] = o.apply(f.standardized, Z_bo, mean_o, inv_o)
        A_bo[...] = o.fma(N_bo, gamma_o, beta_o)

    def scale_backward(dg_o: Array, dA_bo: Array, N_bo: Array) -> None:
        dg_o[...] = column_dot(o, dA_bo, N_bo)

    def batch_norm_backward(
        dZ_bo: Array,
        dA_bo: Array,
        N_bo: Array,
        inv_o: Array,
        gamma_o: Array,
        db_o: Array,
        dg_o: Array,
        inverse_b: float,
    ) -> None:
        dZ_bo[...] = o.apply(f.batch_norm_slope, dA_bo, N_bo, inv_o, gamma_o, db_o, dg_o, o.constant(inverse_b))

    return {
        "standardize_forward": standardize_forward,
        "standardize_backward": standardize_backward,
        "batch_norm_forward": batch_norm_forward,
        "scale_backward": scale_backward,
        "batch_norm_backward": batch_norm_backward,
    }


def _by_rows(o: NumpyAlgebra) -> dict[str, Operation]:
    def layer_norm_forward(
        A_bo: Array,
        N_bo: Array,
        inv_b: Array,
        Z_bo: Array,
        gamma_o: Array,
        beta_o: Array,
        epsilon: float,
        inverse_o: float,
    ) -> None:
        inverse = o.constant(inverse_o)
        d_bo = o.fma(-row_sum(o, Z_bo)[:, None], inverse, Z_bo)
        inv_b[...] = 1.0 / o.sqrt(o.fma(row_fold(o, o.fma, d_bo, d_bo), inverse, o.constant(epsilon)))
        N_bo[...] = d_bo * inv_b[:, None]
        A_bo[...] = o.fma(N_bo, gamma_o, beta_o)

    def layer_norm_backward(
        dZ_bo: Array, dA_bo: Array, N_bo: Array, inv_b: Array, gamma_o: Array, inverse_o: float
    ) -> None:
        inverse = o.constant(inverse_o)
        rows_gamma = gamma_o[None].repeat(dA_bo.shape[0], axis=0)
        m1_b = row_fold(o, o.fma, dA_bo, rows_gamma) * inverse
        m2_b = row_fold(o, o.fma, dA_bo * gamma_o, N_bo) * inverse
        dZ_bo[...] = o.apply(f.layer_norm_slope, dA_bo, N_bo, inv_b[:, None], gamma_o, m1_b[:, None], m2_b[:, None])

    return {"layer_norm_forward": layer_norm_forward, "layer_norm_backward": layer_norm_backward}


def _limits(o: NumpyAlgebra) -> dict[str, Operation]:
    def clip_value(g_p: Array, limit: float) -> None:
        g_p[...] = o.apply(ar.clip, g_p, o.constant(-limit), o.constant(limit))

    def gradient_scale(g_p: Array, factor: float) -> None:
        g_p[...] = g_p * o.constant(factor)

    return {"clip_value": clip_value, "gradient_scale": gradient_scale}
