"""What normalization does between the rows of a program: deviations that a call needs before them, the moments of a
batch in the middle of the forward pass, the sums over it in the middle of the backward pass. By columns, which the
members share."""

from __future__ import annotations

from ..tuning import ROW_BLOCK
from . import call as c
from . import table as t
from .gemm import bias_backward
from .jit import device
from .memory import integer_at, itemsize, real
from .normalization import (
    batch_moments,
    batch_norm_backward,
    batch_norm_forward,
    inverse_deviation,
    layer_norm_backward,
    layer_norm_forward,
    moving_average,
    scale_backward,
    standardize_backward,
    standardize_forward,
)
from .threads import barrier
from .workspace import buffer, constant, padded, share


@device
def statistic(zero, call, at, vector, column):
    """The address of a column of one of an instruction's vectors in the fixed area."""
    place = integer_at(at, t.I_STATISTICS) + vector * padded(integer_at(at, t.I_OUTPUTS)) + column
    return integer_at(call, c.WORKSPACE) + place * itemsize(zero)


@device
def kept(zero, call, offset, column):
    """The address of a column of a kept statistic: a moving mean or variance."""
    return integer_at(call, c.STATISTICS) + (offset + column) * itemsize(zero)


@device
def deviations(zero, call, at, variance, first, last):
    """The inverse deviations of columns first..last - 1, from their variances at an address."""
    epsilon = real(zero, constant(call, integer_at(at, t.I_CONSTANT)))
    target = statistic(zero, call, at, t.INVERSE, first)
    inverse_deviation(zero, integer_at(at, t.I_CODE), target, variance, last - first, epsilon)


@device
def kept_deviations(zero, call, at, member, team):
    """A member's columns of the inverse deviations of the kept variances."""
    first, last = share(integer_at(at, t.I_OUTPUTS), ROW_BLOCK, member, team)
    deviations(zero, call, at, kept(zero, call, integer_at(at, t.I_VARIANCE), first), first, last)


@device
def batch_statistics(zero, call, at, member, team, batch_rows):
    """The batch's moments, its inverse deviations and the moving averages, once all members have their rows of Z."""
    sync = integer_at(call, c.SYNC)
    barrier(sync, team)
    width = integer_at(at, t.I_OUTPUTS)
    first, last = share(width, ROW_BLOCK, member, team)
    n = last - first
    Z = buffer(zero, call, integer_at(at, t.I_SRC), width, 0) + first * itemsize(zero)
    mean, variance = statistic(zero, call, at, t.BATCH_MEAN, first), statistic(zero, call, at, t.BATCH_VARIANCE, first)
    batch_moments(zero, mean, variance, Z, padded(width), batch_rows, n, real(zero, 1.0 / batch_rows))
    deviations(zero, call, at, variance, first, last)
    rate = real(zero, constant(call, integer_at(at, t.I_CONSTANT) + 1))
    moving_mean = kept(zero, call, integer_at(at, t.I_MEAN), first)
    moving_variance = kept(zero, call, integer_at(at, t.I_VARIANCE), first)
    moving_average(zero, moving_mean, moving_mean, mean, n, rate)
    moving_average(zero, moving_variance, moving_variance, variance, n, rate)
    barrier(sync, team)


@device
def batch_gradients(zero, call, at, member, team, batch_rows):
    """The gradients of beta and gamma over the batch, once all members have their rows of dA."""
    sync = integer_at(call, c.SYNC)
    barrier(sync, team)
    width, ld = integer_at(at, t.I_OUTPUTS), padded(integer_at(at, t.I_OUTPUTS))
    first, last = share(width, ROW_BLOCK, member, team)
    dA = buffer(zero, call, integer_at(at, t.I_GRAD_DST), width, 0) + first * itemsize(zero)
    N = buffer(zero, call, integer_at(at, t.I_SAVED), width, 0) + first * itemsize(zero)
    bias_backward(zero, statistic(zero, call, at, t.BETA_GRADIENT, first), dA, ld, batch_rows, last - first)
    scale_backward(zero, statistic(zero, call, at, t.GAMMA_GRADIENT, first), dA, ld, N, ld, batch_rows, last - first)
    barrier(sync, team)


@device
def normalize(zero, call, at, first, rows, training):
    """The forward pass of STANDARDIZE, BATCH_NORM and LAYER_NORM for some rows."""
    kind, width, ld = integer_at(at, t.I_KIND), integer_at(at, t.I_OUTPUTS), padded(integer_at(at, t.I_OUTPUTS))
    A = buffer(zero, call, integer_at(at, t.I_DST), width, first)
    Z = buffer(zero, call, integer_at(at, t.I_SRC), width, first)
    N = buffer(zero, call, integer_at(at, t.I_SAVED), width, first)
    gamma = integer_at(call, c.THETA) + integer_at(at, t.I_KERNEL) * itemsize(zero)
    beta = integer_at(call, c.THETA) + integer_at(at, t.I_BIAS) * itemsize(zero)
    inv = statistic(zero, call, at, t.INVERSE, 0)
    if kind == t.LAYER_NORM:
        inv_b = buffer(zero, call, integer_at(at, t.I_INVERSE), 1, first)
        epsilon, share_o = real(zero, constant(call, integer_at(at, t.I_CONSTANT))), real(zero, 1.0 / width)
        layer_norm_forward(
            zero, A, ld, N, ld, inv_b, padded(1), Z, ld, gamma, 0, beta, 0, rows, width, epsilon, share_o
        )
    elif kind == t.BATCH_NORM and training:
        mean = statistic(zero, call, at, t.BATCH_MEAN, 0)
        batch_norm_forward(zero, A, ld, N, ld, Z, ld, mean, 0, inv, 0, gamma, 0, beta, 0, rows, width)
    else:
        mean = kept(zero, call, integer_at(at, t.I_MEAN), 0)
        standardize_forward(zero, A, ld, Z, ld, mean, 0, inv, 0, gamma, 0, beta, 0, rows, width)


@device
def normalize_backward(zero, call, at, first, rows, batch_rows):
    """The backward pass of STANDARDIZE, BATCH_NORM and LAYER_NORM for some rows."""
    kind, width, ld = integer_at(at, t.I_KIND), integer_at(at, t.I_OUTPUTS), padded(integer_at(at, t.I_OUTPUTS))
    dZ = buffer(zero, call, integer_at(at, t.I_GRAD_SRC), width, first)
    dA = buffer(zero, call, integer_at(at, t.I_GRAD_DST), width, first)
    N = buffer(zero, call, integer_at(at, t.I_SAVED), width, first)
    gamma = integer_at(call, c.THETA) + integer_at(at, t.I_KERNEL) * itemsize(zero)
    inv = statistic(zero, call, at, t.INVERSE, 0)
    if kind == t.LAYER_NORM:
        inv_b = buffer(zero, call, integer_at(at, t.I_INVERSE), 1, first)
        layer_norm_backward(
            zero, dZ, ld, dA, ld, N, ld, inv_b, padded(1), gamma, 0, rows, width, real(zero, 1.0 / width)
        )
    elif kind == t.BATCH_NORM:
        db, dg = statistic(zero, call, at, t.BETA_GRADIENT, 0), statistic(zero, call, at, t.GAMMA_GRADIENT, 0)
        share_b = real(zero, 1.0 / batch_rows)
        batch_norm_backward(zero, dZ, ld, dA, ld, N, ld, inv, 0, gamma, 0, db, 0, dg, 0, rows, width, share_b)
    else:
        standardize_backward(zero, dZ, ld, dA, ld, inv, 0, gamma, 0, rows, width)
