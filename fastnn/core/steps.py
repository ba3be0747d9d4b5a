"""What each optimizer computes, element by element, as formulas over the algebra of `arithmetic.py`, like those of
`formulas.py`. The table keeps its order: the position of a name is its code in a `Plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import arithmetic as ar

if TYPE_CHECKING:
    from .algebra import Algebra, Formula, Real


class Optimizer(NamedTuple):
    """One optimizer.

    `step(o, theta, slots, g, h)` -> (theta, slots): a step of one parameter, with the scalars h in the dtype.
    `prepare(o, rate, products, constants)` -> (products, h): what each step begins with, once and in float64, from the
    learning rate, from running products, which are 1 before the first step, and from `constants`, its
    hyper-parameters. `scalars` are the names of h, `products` those of the products.
    """

    step: Formula
    slots: tuple[str, ...]
    constants: tuple[str, ...]
    scalars: tuple[str, ...]
    prepare: Formula
    products: tuple[str, ...] = ()


Slots = tuple["Real", ...]


def as_they_are(o: Algebra, rate: Real, products: Slots, constants: Slots) -> tuple[Slots, Slots]:
    """The scalars of a step that are the learning rate and the constants."""
    return products, (rate, *constants)


def sgd(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (lr,) = h
    return o.fma(-lr, g, theta), ()


def momentum(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (m,), (lr, mu) = slots, h
    m = ar.flush(o, o.fma(mu, m, -(lr * g)))
    return theta + m, (m,)


def nesterov(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (m,), (lr, mu) = slots, h
    step = lr * g
    m = ar.flush(o, o.fma(mu, m, -step))
    return theta + o.fma(mu, m, -step), (m,)


def rmsprop(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (v,), (lr, c, eps) = slots, h
    v = ar.flush_square(o, o.fma(o.fma(g, g, -v), c, v))
    return theta - (lr * g) / ar.sqrt(o, v + eps), (v,)


def rmsprop_scalars(o: Algebra, rate: Real, products: Slots, constants: Slots) -> tuple[Slots, Slots]:
    rho, eps = constants
    return products, (rate, 1.0 - rho, eps)


def adagrad(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (v,), (lr, eps) = slots, h
    v = o.fma(g, g, v)
    return theta - (lr * g) / ar.sqrt(o, v + eps), (v,)


def adam(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (m, v), (a, c1, c2, eps) = slots, h
    m = ar.flush(o, o.fma(g - m, c1, m))
    v = ar.flush_square(o, o.fma(o.fma(g, g, -v), c2, v))
    return theta - (a * m) / (ar.sqrt(o, v) + eps), (m, v)


def adam_scalars(o: Algebra, rate: Real, products: Slots, constants: Slots) -> tuple[Slots, Slots]:
    (p1, p2), (b1, b2, eps) = products, constants
    p1, p2 = p1 * b1, p2 * b2
    return (p1, p2), (rate * o.sqrt(1.0 - p2) / (1.0 - p1), 1.0 - b1, 1.0 - b2, eps)


def amsgrad(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    """Adam by the largest v so far."""
    (m, v, u), (a, c1, c2, eps) = slots, h
    m = ar.flush(o, o.fma(g - m, c1, m))
    v = ar.flush_square(o, o.fma(o.fma(g, g, -v), c2, v))
    u = o.select(v > u, v, u)
    return theta - (a * m) / (ar.sqrt(o, u) + eps), (m, v, u)


def adamax(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (m, u), (a, c1, b2, eps) = slots, h
    m = ar.flush(o, o.fma(g - m, c1, m))
    before, now = b2 * u, o.abs(g)
    u = ar.flush(o, o.select(now > before, now, before))
    return theta - (a * m) / (u + eps), (m, u)


def adamax_scalars(o: Algebra, rate: Real, products: Slots, constants: Slots) -> tuple[Slots, Slots]:
    (p1,), (b1, b2, eps) = products, constants
    p1 = p1 * b1
    return (p1,), (rate / (1.0 - p1), 1.0 - b1, b2, eps)


def nadam(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (m, v), (of_m, of_g, c1, c2, of_v, eps) = slots, h
    m = ar.flush(o, o.fma(g - m, c1, m))
    v = ar.flush_square(o, o.fma(o.fma(g, g, -v), c2, v))
    return theta - o.fma(of_m, m, of_g * g) / (ar.sqrt(o, v * of_v) + eps), (m, v)


def nadam_scalars(o: Algebra, rate: Real, products: Slots, constants: Slots) -> tuple[Slots, Slots]:
    """With u_t = b1 (1 - 0.96^t / 2) in the place of b1, and the product of all u so far in that of its power."""
    (d, p2, u), (b1, b2, eps) = products, constants
    d, p2 = d * 0.96, p2 * b2
    now, after = b1 * (1.0 - 0.5 * d), b1 * (1.0 - 0.5 * (d * 0.96))
    u = u * now
    of_m, of_g = rate * after / (1.0 - u * after), rate * (1.0 - now) / (1.0 - u)
    return (d, p2, u), (of_m, of_g, 1.0 - b1, 1.0 - b2, 1.0 / (1.0 - p2), eps)


def adadelta(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (v, d), (lr, c, eps) = slots, h
    v = ar.flush_square(o, o.fma(o.fma(g, g, -v), c, v))
    step = (ar.sqrt(o, d + eps) * g) / ar.sqrt(o, v + eps)
    d = ar.flush_square(o, o.fma(o.fma(step, step, -d), c, d))
    return o.fma(-lr, step, theta), (v, d)


def lion(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (m,), (lr, c1, c2) = slots, h
    direction = o.fma(g - m, c1, m)
    step = o.select(direction > 0.0, lr, o.select(direction < 0.0, -lr, 0.0 * direction))
    return theta - step, (ar.flush(o, o.fma(g - m, c2, m)),)


def lion_scalars(o: Algebra, rate: Real, products: Slots, constants: Slots) -> tuple[Slots, Slots]:
    b1, b2 = constants
    return products, (rate, 1.0 - b1, 1.0 - b2)


def _ftrl(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots, power: Formula) -> tuple[Real, Slots]:
    (v, z), (inverse_lr, l1, two_l2, two_shrinkage) = slots, h[:4]
    w = o.fma(g, g, v)
    after = power(w)
    z = z + o.fma((after - power(v)) * -inverse_lr, theta, o.fma(two_shrinkage, theta, g))
    clipped = ar.clip(o, z, -l1, l1)
    return (clipped - z) / o.fma(after, inverse_lr, two_l2), (w, z)


def ftrl(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    return _ftrl(o, theta, slots, g, h, lambda v: o.sqrt(v))


def ftrl_power(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    """With another power of the accumulator than its root."""
    return _ftrl(o, theta, slots, g, h, lambda v: ar.power_abs(o, v, h[4]))


def ftrl_scalars(o: Algebra, rate: Real, products: Slots, constants: Slots) -> tuple[Slots, Slots]:
    l1, l2, shrinkage, beta, *power = constants
    return products, (1.0 / rate, l1, 2.0 * l2 + beta / rate, 2.0 * shrinkage, *power)


def rmsprop_momentum(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (v, m), (lr, c, eps, mu) = slots, h
    v = ar.flush_square(o, o.fma(o.fma(g, g, -v), c, v))
    m = ar.flush(o, o.fma(mu, m, (lr * g) / ar.sqrt(o, v + eps)))
    return theta - m, (v, m)


def _centred(o: Algebra, v: Real, a: Real, g: Real, c: Real, eps: Real) -> tuple[Real, Real, Real]:
    """The running mean of g^2, that of g, and the root of the variance that they give."""
    v = ar.flush_square(o, o.fma(o.fma(g, g, -v), c, v))
    a = ar.flush(o, o.fma(g - a, c, a))
    return v, a, ar.sqrt(o, o.fma(-a, a, v) + eps)


def rmsprop_centered(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (v, a), (lr, c, eps) = slots, h
    v, a, deviation = _centred(o, v, a, g, c, eps)
    return theta - (lr * g) / deviation, (v, a)


def rmsprop_centered_momentum(o: Algebra, theta: Real, slots: Slots, g: Real, h: Slots) -> tuple[Real, Slots]:
    (v, m, a), (lr, c, eps, mu) = slots, h
    v, a, deviation = _centred(o, v, a, g, c, eps)
    m = ar.flush(o, o.fma(mu, m, (lr * g) / deviation))
    return theta - m, (v, m, a)


def rmsprop_momentum_scalars(o: Algebra, rate: Real, products: Slots, constants: Slots) -> tuple[Slots, Slots]:
    rho, eps, mu = constants
    return products, (rate, 1.0 - rho, eps, mu)


_BETAS = ("beta_1", "beta_2", "epsilon")
_COMPLEMENTS = ("one_minus_beta_1", "one_minus_beta_2")
_RHO = ("rate", "one_minus_rho", "epsilon")
_FTRL = ("l1", "l2", "shrinkage", "beta")
_FTRL_SCALARS = ("inverse_rate", "l1", "two_l2", "two_shrinkage")
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(sgd, (), (), ("rate",), as_they_are),
    "momentum": Optimizer(momentum, ("momentum",), ("momentum",), ("rate", "momentum"), as_they_are),
    "nesterov": Optimizer(nesterov, ("momentum",), ("momentum",), ("rate", "momentum"), as_they_are),
    "rmsprop": Optimizer(rmsprop, ("velocity",), ("rho", "epsilon"), _RHO, rmsprop_scalars),
    "adagrad": Optimizer(adagrad, ("accumulator",), ("epsilon",), ("rate", "epsilon"), as_they_are),
    "adam": Optimizer(
        adam,
        ("momentum", "velocity"),
        _BETAS,
        ("adam_rate", *_COMPLEMENTS, "epsilon"),
        adam_scalars,
        ("beta_1_power", "beta_2_power"),
    ),
    "amsgrad": Optimizer(
        amsgrad,
        ("momentum", "velocity", "velocity_hat"),
        _BETAS,
        ("adam_rate", *_COMPLEMENTS, "epsilon"),
        adam_scalars,
        ("beta_1_power", "beta_2_power"),
    ),
    "adamax": Optimizer(
        adamax,
        ("momentum", "norm"),
        _BETAS,
        ("corrected_rate", "one_minus_beta_1", "beta_2", "epsilon"),
        adamax_scalars,
        ("beta_1_power",),
    ),
    "nadam": Optimizer(
        nadam,
        ("momentum", "velocity"),
        _BETAS,
        ("rate_of_m", "rate_of_g", *_COMPLEMENTS, "correction_of_v", "epsilon"),
        nadam_scalars,
        ("decay", "beta_2_power", "u_product"),
    ),
    "adadelta": Optimizer(
        adadelta, ("accumulated_gradient", "accumulated_delta"), ("rho", "epsilon"), _RHO, rmsprop_scalars
    ),
    "lion": Optimizer(lion, ("momentum",), ("beta_1", "beta_2"), ("rate", *_COMPLEMENTS), lion_scalars),
    "ftrl": Optimizer(ftrl, ("accumulator", "linear"), _FTRL, _FTRL_SCALARS, ftrl_scalars),
    "ftrl_power": Optimizer(
        ftrl_power, ("accumulator", "linear"), (*_FTRL, "power"), (*_FTRL_SCALARS, "power"), ftrl_scalars
    ),
    "rmsprop_momentum": Optimizer(
        rmsprop_momentum,
        ("velocity", "momentum"),
        ("rho", "epsilon", "momentum"),
        (*_RHO, "momentum"),
        rmsprop_momentum_scalars,
    ),
    "rmsprop_centered": Optimizer(
        rmsprop_centered, ("velocity", "average_gradient"), ("rho", "epsilon"), _RHO, rmsprop_scalars
    ),
    "rmsprop_centered_momentum": Optimizer(
        rmsprop_centered_momentum,
        ("velocity", "momentum", "average_gradient"),
        ("rho", "epsilon", "momentum"),
        (*_RHO, "momentum"),
        rmsprop_momentum_scalars,
    ),
}
# The most that any of them has: what backends keep room for.
MOST_SLOTS = max(len(optimizer.slots) for optimizer in OPTIMIZERS.values())
MOST_SCALARS = max(len(optimizer.scalars) for optimizer in OPTIMIZERS.values())
MOST_PRODUCTS = max(len(optimizer.products) for optimizer in OPTIMIZERS.values())
