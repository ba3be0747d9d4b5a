"""What a backend is: the operations of `core/operations.py`, and programs that run a plan.

`Program` gives every program in terms of operations, so a new backend works once its operations do; a fast backend
overrides programs with fused ones, and the tests want the same bits from both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ..core.operations import Operation
from ..core.plan import SUM_LOSS, Clip, Counter, OptimizerEntry, ParameterEntry, Plan, Scalar, largest
from ..core.random import permutation
from ..core.state import State
from ..core.steps import OPTIMIZERS
from ..core.store import Use, busy
from .arguments import Arguments
from .data import Array, Data, Sums
from .passes import Passes, view_of

Method = TypeVar("Method", bound=Callable[..., Any])


def _guarded(method: Method, reads: bool) -> Method:
    @wraps(method)
    def guarded(self: Program, *arguments: Any, **options: Any) -> Any:
        store = self.state.store
        with store.lock:
            if store.use:  # by this thread, in which a signal handler calls this
                return method(self.beside(method.__name__, reads), *arguments, **options)
            store.use = Use.TORN if self.interpreted and not reads else Use.WHOLE
            try:
                self._weights_here()
                return method(self, *arguments, **options)
            finally:
                store.use = Use.FREE

    return cast(Method, guarded)


def exclusive(method: Method) -> Method:
    """A program's method that has the state's buffers to itself, and may write."""
    return _guarded(method, reads=False)


def reading(method: Method) -> Method:
    """A program's method that changes nothing but the workspace."""
    return _guarded(method, reads=True)


class Program(Passes):
    """A plan and its state on one backend, in terms of operations. Pointers and views are taken once, in `__init__`.

    Programs hold addresses: they cannot be copied or pickled, only made again from a plan and a state.

    Attributes:
        interpreted: whether there is Python in the middle of a step, and so a signal handler may be.

    Raises:
        BusyError: a signal handler calls what would change the bits of the program that it interrupted. Arguments were
            checked by `engine/checks.py`.
    """

    threads = 1  # that the last steps were given
    batch = 0  # rows of a step, in the last training
    interpreted: ClassVar[bool] = True

    def __init__(self, backend: Backend, plan: Plan, state: State) -> None:
        super().__init__(backend.operations(plan.dtype), plan, state)
        self.backend = backend

    def _weights_here(self) -> None:
        """Has the weights where this program reads them: at home, where kernels of the host know their addresses."""
        self.state.store.home()

    def beside(self, where: str, reads: bool) -> Program:
        """A program of buffers of its own, for what is called while this one runs in the same thread.

        Raises:
            BusyError: weights are not those of a whole step, or would be changed.
        """
        if not reads or self.state.store.use == Use.TORN:
            raise busy(where)
        return self.backend.program(self.plan, self.state.beside())

    def __reduce__(self) -> Any:
        raise TypeError("a program holds addresses; make another one with Backend.program")

    # programs

    @reading
    def forward(self, inputs: Sequence[Array], outs: Sequence[Array], first: int = 0) -> None:
        """Predictions (n, O) of each output, for the rows of the inputs, in inference mode.

        Args:
            first: the number of the first of them among all rows, which random numbers depend on.
        """
        n = inputs[0].shape[0]
        rows = max(1, min(n, 256))
        self.state.reserve(rows)
        for start in range(0, n, rows):
            stop = min(start + rows, n)
            self._gather([X[start:stop] for X in inputs])
            self._forward(stop - start, training=False, start=first + start)
            for (unit, width, *_), out in zip(self.plan.outputs.tolist(), outs, strict=True):
                out[start:stop] = self._buffer(unit, stop - start, width)

    @exclusive
    def gradient(self, data: Data, sums: Sums) -> None:
        """Leaves the gradient of the mean loss of `data`'s first batch in `state.gradient`, penalties included, not
        clipped; adds to `sums`.

        What is not trainable has no gradient: its entries stay 0. Moving averages move, as in every pass of training.
        """
        self._batch_gradient(data, 0, sums)

    @exclusive
    def update(self) -> None:
        """One optimizer step from `state.gradient`, which is clipped first, and `state.scalars`."""
        self._update()

    def _update(self) -> None:
        plan, state = self.plan, self.state
        self._clip()
        name, scalars = self._step_scalars()
        learning_rate = float(state.scalars[Scalar.LEARNING_RATE])
        weight_decay = float(plan.constants[plan.optimizer[OptimizerEntry.CONSTANT]])
        for row in plan.parameters:
            if not row[ParameterEntry.TRAINABLE]:
                continue
            view = view_of(row)
            theta = state.theta[view]
            if weight_decay != 0.0 and row[ParameterEntry.DECAY]:
                self.op["decay_step"](theta, -(learning_rate * weight_decay))
            self.op[f"{name}_step"](theta, *(slot[view] for slot in state.slots), state.gradient[view], *scalars)
        state.counters[Counter.STEP] += 1

    @exclusive
    def run_steps(
        self, data: Data, first: int, last: int, sums: Sums, rates: Sums | None = None, stop: bool = False
    ) -> int:
        """Trains on steps first..last - 1 of the epoch and adds their losses and metrics to `sums`.

        Args:
            rates: (last - first,) float64, the learning rate of each step; the last one used stays in the state.
            stop: whether to end after the first step that makes the sum of losses NaN or infinite.

        Returns:
            How many steps were taken.
        """
        for step in range(first, last):
            if rates is not None:
                self.state.scalars[Scalar.LEARNING_RATE] = rates[step - first]
            self._batch_gradient(data, step, sums)
            self._update()
            if stop and not math.isfinite(sums[SUM_LOSS]):
                return step - first + 1
        return last - first

    @reading
    def score(self, data: Data, first: int, last: int, sums: Sums) -> None:
        """Adds the losses and metrics of steps first..last - 1, in inference mode, to `sums`."""
        for step in range(first, last):
            self._batch_forward(data, step, training=False, sums=sums)

    def buffer(self, unit: int, rows: int, width: int) -> Array:
        """The rows of a buffer of the workspace, as the last batch left them."""
        return self._buffer(unit, rows, width).copy()

    # before the first step

    def find_nonfinite(self, X: Array) -> int:
        """The first element of a (n, I) float array that is not finite in the plan's dtype: its flat index, or -1."""
        with np.errstate(all="ignore"):
            bad = ~(np.abs(X) <= largest(X.dtype, self.plan.dtype))
        return int(np.argmax(bad)) if bad.any() else -1

    @exclusive
    def shuffle(self, order: npt.NDArray[np.int64]) -> None:
        """Fills `order` with the permutation of the state's seed and epoch."""
        counters = self.state.counters
        order[:] = permutation(int(counters[Counter.SEED]), int(counters[Counter.EPOCH]), order.size)

    # one step

    def _clip(self) -> None:
        """Limits the gradient of what is trainable, by its elements or by its norms in float64."""
        plan = self.plan
        clip = Clip(plan.optimizer[OptimizerEntry.CLIP])
        if clip == Clip.NONE:
            return
        limit = float(plan.constants[plan.optimizer[OptimizerEntry.CLIP_CONSTANT]])
        gradients = [self.state.gradient[view_of(row)] for row in plan.parameters if row[ParameterEntry.TRAINABLE]]
        if clip == Clip.VALUE:
            for g in gradients:
                self.op["clip_value"](g, limit)
            return
        for group in [gradients] if clip == Clip.GLOBAL_NORM else [[g] for g in gradients]:
            total = np.zeros(1)
            for g in group:
                self.op["sum_squares"](total, g)
            norm = math.sqrt(total[0])
            if norm > limit:
                for g in group:
                    self.op["gradient_scale"](g, limit / norm)

    def _step_scalars(self) -> tuple[str, tuple[float, ...]]:
        """Advances the running products and gives the step's scalars, float64, in the order of the optimizer's row."""
        from ..core.algebra import NumpyAlgebra  # here, since compiled backends have no use for it

        plan, scalars = self.plan, self.state.scalars
        name, optimizer = list(OPTIMIZERS.items())[plan.optimizer[OptimizerEntry.CODE]]
        first = int(plan.optimizer[OptimizerEntry.CONSTANT]) + 1
        constants = tuple(plan.constants[first : first + len(optimizer.constants)])
        kept = scalars[Scalar.PRODUCTS : Scalar.PRODUCTS + len(optimizer.products)]
        rate = scalars[Scalar.LEARNING_RATE]
        with np.errstate(all="ignore"):
            products, values = optimizer.prepare(NumpyAlgebra("float64"), rate, tuple(kept), constants)
        kept[:] = products
        return name, tuple(float(value) for value in values)


class Operator:
    """One operation of `core/operations.py` on one backend, for arrays of one dtype.

    Its arguments are those of its row: the arrays, then the scalars. Subclasses give `_run` and `_prepare`, whose
    arguments are right.
    """

    def __init__(self, row: Operation, dtype: str) -> None:
        self._arguments = Arguments(row, dtype)

    def __call__(self, *arguments: Any) -> None:
        """Runs the operation once.

        Raises:
            ArgumentError, ArgumentTypeError: see `Arguments.check`.
        """
        self._arguments.check(arguments)
        self._run(*arguments)

    def prepare(self, *arguments: Any) -> Callable[[], object]:
        """The operation on these very arrays and scalars, to be run again and again at the least cost a call.

        Returns:
            A callable of no arguments, whose result means nothing. It keeps the arrays alive and reads and writes what
            they hold when it is called; addresses, shapes and the number of threads are those of now, so an array
            must not be resized in place. It has a scratch of its own: it may be called in one thread at a time,
            beside all other calls. That of an embedding looks at the class numbers each time.

        Raises:
            ArgumentError, ArgumentTypeError: see `Arguments.check`.
        """
        self._arguments.check(arguments)
        run = self._prepare(*arguments)
        if not self._arguments.places:
            return run

        def run_checked() -> None:
            self._arguments.require_places(arguments)
            run()

        return run_checked

    def _run(self, *arguments: Any) -> None:
        raise NotImplementedError

    def _prepare(self, *arguments: Any) -> Callable[[], object]:
        raise NotImplementedError


class Backend:
    """One way to execute the contract. Subclasses give `name`, `operations` and, where they fuse, `program`."""

    name = ""
    moves_weights: ClassVar[bool] = False  # to each of its programs, from where they lie

    def operations(self, dtype: Any) -> Mapping[str, Operator]:
        """The operations of `core/operations.py`, by name, for arrays of one dtype.

        Raises:
            ArgumentError: neither "float32" nor "float64".
        """
        raise NotImplementedError

    def program(self, plan: Plan, state: State) -> Program:
        """The programs of one plan and state."""
        return Program(self, plan, state)

    def keeps(self, program: Program) -> bool:
        """Whether a program that it made goes on to be the best that it can make."""
        return True
