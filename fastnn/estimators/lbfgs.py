"""`solver="lbfgs"`: SciPy's L-BFGS-B on the compiled gradient of all rows."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from ..core.arrays import Array
from ..core.plan import SUM_LOSS
from . import network
from .feeds import without_penalties
from .stopping import Deadline

_BATCH = 4096  # rows whose activations are in memory at a time


class _TimeUp(Exception):
    """The time limit has passed."""


class Slope:
    """The objective and its gradient by theta, each a pass over all rows.

    Attributes:
        best: the lowest value so far, where, and the loss as scikit-learn tells it. loss: that of the last pass.
    """

    def __init__(self, estimator: Any, X: Any, targets: Array, w: Array | None, deadline: Deadline) -> None:
        self._engine, self._objective = estimator.model_.engine(), estimator._objective()
        self._outputs, self._deadline = estimator.n_outputs_, deadline
        plan = self._engine.plan
        self._read = (X, targets, w, min(_BATCH, X.shape[0]), plan.dtype)
        self._rows = X.shape[0]
        self._decay = np.zeros(plan.layout.size)
        for parameter in plan.layout.of("theta"):
            if parameter.name == "kernel":
                total = float(self._rows if w is None else w.sum())
                plan.layout.view(self._decay, parameter)[...] = estimator.alpha / total
        self.best: tuple[float, Array, float] = (math.inf, self._engine.state.theta.astype(np.float64), math.nan)
        self.loss = math.nan

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """The objective and its gradient at theta.

        Raises:
            _TimeUp: the time limit has passed, and there was a whole pass before.
        """
        engine, state = self._engine, self._engine.state
        state.theta[:] = theta
        sums, gradient = engine.scores.sums(), self._decay * theta
        for data in without_penalties(*self._read):
            for first in range(0, data.rows, data.batch_size):
                if self.best[0] < math.inf and self._deadline.passed():
                    raise _TimeUp
                engine.program.gradient(data.part(first), sums)
                gradient += state.gradient * (min(data.batch_size, data.rows - first) / self._rows)
        penalty = 0.5 * float((self._decay * theta) @ theta)
        value = float(sums[SUM_LOSS]) / self._rows + penalty
        self.loss = network.told_loss(engine.scores.logs(sums), self._objective, self._outputs) + penalty
        if value < self.best[0]:
            self.best = value, theta.copy(), self.loss
        return value, gradient


def minimise(estimator: Any, X: Any, targets: Array, w: Array | None, deadline: Deadline) -> tuple[int, float]:
    """Leaves the weights at the minimum that was found.

    Returns:
        How many iterations were made, and the loss.
    """
    if estimator.dropout:
        raise ValueError('dropout needs another solver: solver="lbfgs" minimises one function, without chance')
    slope = Slope(estimator, X, targets, w, deadline)
    iterations = 0

    def told(theta: Array) -> None:
        nonlocal iterations
        iterations += 1
        if estimator.verbose:
            print(f"Iteration {iterations}, loss = {slope.loss:.8f}")

    options = {"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol}
    try:
        found = scipy.optimize.minimize(
            slope, slope.best[1], method="L-BFGS-B", jac=True, options=options, callback=told
        )
        if found.fun > slope.best[0]:
            slope(found.x)
            slope.best = found.fun, found.x, slope.loss
    except _TimeUp:
        pass
    else:
        iterations = min(int(found.nit), estimator.max_iter)
        if found.status != 0:
            warnings.warn(
                f"lbfgs failed to converge after {found.nit} iteration(s) (status={found.status}):\n{found.message}\n"
                "Increase max_iter or max_fun, or scale the data.",
                ConvergenceWarning,
                stacklevel=6,
            )
    _, theta, loss = slope.best
    estimator.model_.engine().state.theta[:] = theta
    return iterations, loss
