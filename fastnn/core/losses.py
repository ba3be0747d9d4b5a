"""What each loss computes of a row of predictions and targets, as formulas over the algebra of `arithmetic.py`.

Backends trace these texts as they trace `formulas.py`. Tables keep their order: the position of a name is its code in a
`Plan`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import arithmetic as ar

if TYPE_CHECKING:
    from .algebra import Algebra, Formula, Real

EPSILON = 1e-7  # Keras's, of losses
PROBABILITY_FLOOR = EPSILON  # probabilities are clipped to [floor, 1 - floor]
LOG_2 = 0.6931471805599453


class Sum(NamedTuple):
    """A sum over the elements of a row, or the largest of what they give.

    `step(o, lane, a, y, p, *sums)` is the lane after an element, where `sums` are the sums before this one, of the
    whole row. Lanes begin at 0 and are added up, or at -inf and the largest is kept.
    """

    step: Formula
    largest: bool = False


class Facts(NamedTuple):
    """What a plan must know of a loss beside its formulas.

    `classes`: targets are class numbers. `binary`: targets are yes or no, so that label smoothing moves them to 1/2,
    not to 1/C. `activation`: predictions after it, like logits of from_logits=True, make it the loss `logits`.
    `softmax`: it reads logits and gives their softmax beside its value.
    """

    classes: bool = False
    binary: bool = False
    activation: str = ""
    logits: str = ""
    softmax: bool = False


class Loss(NamedTuple):
    """One loss of a row of predictions a and targets y.

    `value(o, *sums)` is made of the row's sums, `slope(o, a, y, p, *sums)` its derivative by an element's a. Without
    `value` there is one sum, which the slope does not read. `mean` says whether that is divided by the number of
    outputs.
    """

    sums: tuple[Sum, ...]
    slope: Formula
    mean: bool = True
    parameter: str = ""
    value: Formula | None = None
    facts: Facts = Facts()


# --- by element -----------------------------------------------------------------------------------------------------


def _sign(o: Algebra, d: Real) -> Real:
    return o.select(d > 0.0, 1.0, o.select(d < 0.0, -1.0, d))  # keeps 0 and NaN


def _at_least(o: Algebra, x: Real, low: Real | float) -> Real:
    return o.select(low > x, low, x)  # keeps NaN


def squared_error(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    d = a - y
    return o.fma(d, d, lane)


def squared_error_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    d = a - y
    return d + d


def absolute_error(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    return lane + o.abs(a - y)


def absolute_error_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    return _sign(o, a - y)


def cubic_error(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    d = o.abs(a - y)
    return o.fma(d * d, d, lane)


def cubic_error_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    d = a - y
    return 3.0 * (d * o.abs(d))


def quartic_error(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    d = a - y
    return o.fma(d * d, d * d, lane)


def quartic_error_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    d = a - y
    return 4.0 * (d * (d * d))


def power_error(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    return lane + ar.power_abs(o, a - y, p)


def power_error_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    d = a - y
    return _sign(o, d) * (p * ar.power_abs(o, d, p - 1.0))


def huber(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    d = o.abs(a - y)
    return lane + o.select(d > p, p * o.fma(p, -0.5, d), 0.5 * (d * d))


def huber_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    d = a - y
    return o.select(d > p, p, o.select(-p > d, -p, d))


def binary_crossentropy(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    q = ar.clip(o, a, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    return lane - o.fma(y, ar.log(o, q), (1.0 - y) * ar.log(o, 1.0 - q))


def binary_crossentropy_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    q = ar.clip(o, a, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    return o.select(a != q, 0.0, (q - y) / (q * (1.0 - q)))


def kl_divergence(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    q = ar.clip(o, a, PROBABILITY_FLOOR, 1.0)
    t = ar.clip(o, y, PROBABILITY_FLOOR, 1.0)
    return o.fma(t, ar.log(o, t / q), lane)


def kl_divergence_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    q = ar.clip(o, a, PROBABILITY_FLOOR, 1.0)
    t = ar.clip(o, y, PROBABILITY_FLOOR, 1.0)
    return o.select(a != q, 0.0, -(t / q))


def sigmoid_crossentropy(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    """From the logit: max(z, 0) - z y + log1p(e^-|z|), finite for every finite z."""
    positive = o.select(a < 0.0, 0.0, a)
    return lane + ar.log1p_unit(o, ar.exp_nonpositive(o, -o.abs(a)), o.fma(-a, y, positive))


def sigmoid_crossentropy_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    return ar.sigmoid(o, a) - y


def percentage_error(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    return o.fma(o.abs(a - y) / _at_least(o, o.abs(y), EPSILON), 100.0, lane)


def percentage_error_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    return _sign(o, a - y) * (100.0 / _at_least(o, o.abs(y), EPSILON))


def _logarithmic_error(o: Algebra, a: Real, y: Real) -> tuple[Real, Real]:
    """1 + max(a, epsilon), and log of its ratio to that of y."""
    q = _at_least(o, a, EPSILON) + 1.0
    return q, ar.log(o, q / (_at_least(o, y, EPSILON) + 1.0))


def logarithmic_error(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    _, d = _logarithmic_error(o, a, y)
    return o.fma(d, d, lane)


def logarithmic_error_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    q, d = _logarithmic_error(o, a, y)
    return o.select(a < EPSILON, 0.0, (d + d) / q)


def log_cosh(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    """log1p(u^2 / 2e) with u = 1 - e and e = e^-|d|, which keeps all digits of a small d; from 1 on |d| - log 2 +
    log1p(e^2)."""
    d = o.abs(a - y)
    u = -ar.expm1(o, -d)
    e = 1.0 - u
    near = d < 1.0
    return lane + ar.log1p_unit(o, o.select(near, (u * u) / (e + e), e * e), o.select(near, 0.0, d - LOG_2))


def log_cosh_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    return ar.tanh(o, a - y)


def _margin(o: Algebra, a: Real, y: Real) -> tuple[Real, Real]:
    """The label as -1 or 1, where y may be 0 for -1, and 1 less the label times a: what is missing where above 0."""
    label = o.select(y == 0.0, -1.0, y)
    return label, o.fma(-label, a, 1.0)


def hinge(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    return lane + _at_least(o, _margin(o, a, y)[1], 0.0)


def hinge_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    label, missing = _margin(o, a, y)
    return o.select(missing > 0.0, -label, 0.0)


def squared_hinge(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    missing = _at_least(o, _margin(o, a, y)[1], 0.0)
    return o.fma(missing, missing, lane)


def squared_hinge_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    label, missing = _margin(o, a, y)
    return (-2.0 * label) * _at_least(o, missing, 0.0)


def poisson(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    return lane + o.fma(-y, ar.log(o, a + EPSILON), a)


def poisson_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    return 1.0 - y / (a + EPSILON)


def poisson_deviance(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    """Half of it: y log(y / a) is 0 where no y is."""
    return lane + (o.select(y > 0.0, y * ar.log(o, y / a), 0.0) + (a - y))


def poisson_deviance_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    return 1.0 - y / a


def log_poisson_deviance(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    """From the logarithm of the prediction."""
    return lane + (o.select(y > 0.0, y * (ar.log(o, y) - a), 0.0) + (ar.exp(o, a) - y))


def log_poisson_deviance_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    return ar.exp(o, a) - y


def quantile(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    d = y - a
    return lane + d * o.select(d > 0.0, p, p - 1.0)


def quantile_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    d = a - y
    return o.select(d > 0.0, 1.0 - p, o.select(d < 0.0, -p, d))  # keeps 0 and NaN


def product(o: Algebra, lane: Real, a: Real, y: Real, p: Real, *sums: Real) -> Real:
    return o.fma(y, a, lane)


def largest_other(o: Algebra, lane: Real, a: Real, y: Real, p: Real, right: Real) -> Real:
    return _at_least(o, lane, (1.0 - y) * a)


def ties(o: Algebra, lane: Real, a: Real, y: Real, p: Real, right: Real, other: Real) -> Real:
    return lane + o.select((1.0 - y) * a == other, 1.0, 0.0)


def categorical_hinge(o: Algebra, right: Real, other: Real, ties: Real) -> Real:
    return _at_least(o, (other - right) + 1.0, 0.0)


def categorical_hinge_slope(o: Algebra, a: Real, y: Real, p: Real, right: Real, other: Real, ties: Real) -> Real:
    """Where elements tie for the largest, each has its share of the slope."""
    rest = 1.0 - y
    slope = o.select(rest * a == other, rest / ties, 0.0) - y
    return o.select((other - right) + 1.0 > 0.0, slope, 0.0)


def square_of_prediction(o: Algebra, lane: Real, a: Real, y: Real, p: Real, *sums: Real) -> Real:
    return o.fma(a, a, lane)


def square_of_target(o: Algebra, lane: Real, a: Real, y: Real, p: Real, *sums: Real) -> Real:
    return o.fma(y, y, lane)


def _inverse_norm(o: Algebra, squares: Real) -> Real:
    return 1.0 / _at_least(o, o.sqrt(squares), EPSILON)


def cosine_similarity(o: Algebra, aa: Real, yy: Real, ya: Real) -> Real:
    """-cos: a norm below epsilon counts as epsilon."""
    return -((ya * _inverse_norm(o, aa)) * _inverse_norm(o, yy))


def cosine_similarity_slope(o: Algebra, a: Real, y: Real, p: Real, aa: Real, yy: Real, ya: Real) -> Real:
    inverse = _inverse_norm(o, aa)
    turn = o.select(aa > EPSILON * EPSILON, (ya * inverse) * inverse, 0.0)
    return o.fma(a, turn, -y) * (inverse * _inverse_norm(o, yy))


def prediction(o: Algebra, lane: Real, a: Real, y: Real, p: Real) -> Real:
    return lane + a


def prediction_slope(o: Algebra, a: Real, y: Real, p: Real) -> Real:
    return o.constant(1.0)


def _by_element(accumulate: Formula, slope: Formula, **more: Any) -> Loss:
    """A sum over the elements, `accumulate(o, lane, a, y, p)`, or their mean."""
    return Loss((Sum(accumulate),), slope, **more)


LOSSES: dict[str, Loss] = {
    "mean_squared_error": _by_element(squared_error, squared_error_slope),
    "mean_absolute_error": _by_element(absolute_error, absolute_error_slope),
    "lp3": _by_element(cubic_error, cubic_error_slope),
    "lp4": _by_element(quartic_error, quartic_error_slope),
    "lp": _by_element(power_error, power_error_slope, parameter="p"),
    "huber": _by_element(huber, huber_slope, parameter="delta"),
    "binary_crossentropy": _by_element(
        binary_crossentropy,
        binary_crossentropy_slope,
        facts=Facts(binary=True, activation="sigmoid", logits="sigmoid_crossentropy"),
    ),
    "kl_divergence": _by_element(kl_divergence, kl_divergence_slope, mean=False),
    "sigmoid_crossentropy": _by_element(sigmoid_crossentropy, sigmoid_crossentropy_slope, facts=Facts(binary=True)),
    "mean_absolute_percentage_error": _by_element(percentage_error, percentage_error_slope),
    "mean_squared_logarithmic_error": _by_element(logarithmic_error, logarithmic_error_slope),
    "log_cosh": _by_element(log_cosh, log_cosh_slope),
    "hinge": _by_element(hinge, hinge_slope),
    "squared_hinge": _by_element(squared_hinge, squared_hinge_slope),
    "poisson": _by_element(poisson, poisson_slope),
    "poisson_deviance": _by_element(
        poisson_deviance,
        poisson_deviance_slope,
        facts=Facts(activation="exponential", logits="log_poisson_deviance"),
    ),
    "log_poisson_deviance": _by_element(log_poisson_deviance, log_poisson_deviance_slope),
    "quantile": _by_element(quantile, quantile_slope, parameter="quantile"),
    "categorical_hinge": Loss(
        (Sum(product), Sum(largest_other, largest=True), Sum(ties)),
        categorical_hinge_slope,
        mean=False,
        value=categorical_hinge,
    ),
    "cosine_similarity": Loss(
        (Sum(square_of_prediction), Sum(square_of_target), Sum(product)),
        cosine_similarity_slope,
        mean=False,
        value=cosine_similarity,
    ),
    "prediction": _by_element(prediction, prediction_slope),  # what `add_loss` adds; it reads no targets
}

# Losses of which each backend has kernels of its own; in its softmax.py, after the texts in `reference/softmax.py`.
ROW_LOSSES: dict[str, Facts] = {
    "categorical_crossentropy": Facts(activation="softmax", logits="softmax_crossentropy"),
    "sparse_categorical_crossentropy": Facts(classes=True, activation="softmax", logits="sparse_softmax_crossentropy"),
    "softmax_crossentropy": Facts(softmax=True),
    "sparse_softmax_crossentropy": Facts(classes=True, softmax=True),
}
LOSS_FACTS = {name: loss.facts for name, loss in LOSSES.items()} | ROW_LOSSES
LOSS_NAMES = tuple(LOSS_FACTS)

# Metrics with a value per row, beside every loss above; r2_score keeps sums per output instead.
ROW_METRICS = ("binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
METRIC_NAMES = (*LOSS_NAMES, *ROW_METRICS, "r2_score")
