"""The programs of a plan on the card: theta, gradient, slots and data live there; the host reads a row of sums a
slice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.plan import SUM_COUNT, SUM_LOSS, Counter, InputEntry, LossEntry, MetricEntry, Plan, padded
from ...core.random import permutation
from ...core.state import State
from ...core.store import busy
from ...errors import BackendError
from ..data import Array, Data, Sums
from ..passes import loss_scale
from ..protocol import Backend, Program, exclusive, reading
from .buffers import Buffers, Totals
from .calls import Launch, Launcher
from .chains import GRID_FLOPS, chain
from .device import Card, Memory, card, contiguous
from .library import loaded
from .network import Network
from .residents import Residents
from .snapshots import Counts, Snapshots
from .tables import MOST_STEPS, Tables

try:
    from ..c import shuffle
except ImportError:  # not built: the same order, in a second for each million rows

    def shuffle(order: npt.NDArray[np.int64], seed: int, epoch: int) -> None:
        """Fills `order` with a permutation."""
        order[:] = permutation(seed, epoch, order.size)


MOST_DATA = 2  # that are on the card at a time: of training and of validation
MOST_CHAINS = 4  # of so many batches and places of the data
MOST_WORKS = 16  # steps, for batches of so many numbers of rows, that are kept
FORWARD_BYTES = 2**28  # of the workspace, that predictions may take at a time


class Work:
    """Launches that are made again and again: the first time one by one, from then on as a graph."""

    def __init__(self, owner: Card, launches: list[Launch]) -> None:
        self._card, self._launches = owner, launches
        self._graph: Any = None
        self._ran = False

    def run(self) -> None:
        """Starts them."""
        if self._graph is None and self._ran and len(self._launches) > 1:
            self._graph = self._card.captured(self._launches)
        if self._graph is not None:
            self._card.replay(self._graph)
            return
        self._card.launch(self._launches)
        self._ran = True


class CudaProgram(Program):
    """The fused programs: launches that are made once, for a batch of so many rows."""

    def __init__(self, backend: Backend, plan: Plan, state: State) -> None:
        super().__init__(backend, plan, state)
        self._card = card()
        self._card.enter()
        self._launcher = Launcher(loaded(), plan.dtype.name)
        self._totals = Totals(plan)
        self._buffers = Buffers(self._card, plan)
        self._tables = Tables(self._card, plan, max(1, self._totals.count))
        self._residents: list[Residents] = []  # the last that was used at the end
        self._ones_of = -1  # the serial of those for which weights of 1 were written
        self._launches: dict[tuple[Any, ...], Work] = {}
        self._chains: dict[tuple[int, int, int], Any] = {}
        self._staging: Memory | None = None
        buffers = self._buffers
        self._snapshots = Snapshots(self._card, (buffers.theta, buffers.statistics, *buffers.slots))
        self._at_home = Counts.of(state)  # when the vectors were at home last
        self._away = self._changed = self._runs = False

    # where the vectors are

    def _weights_here(self) -> None:
        """On the card; what another program has is brought home first."""
        self._card.enter()
        if self._away:
            return
        store, state, buffers = self.state.store, self.state, self._buffers
        store.home()
        theta, statistics = store.vectors_at_home()
        for memory, vector in (
            (buffers.theta, theta),
            (buffers.statistics, statistics),
            *zip(buffers.slots, state.slots_at_home(), strict=True),
        ):
            self._card.put(memory.address, vector)
        self._away, self._changed = True, False
        self._snapshots.forget()
        self._at_home = Counts.of(state)
        store.lend(self._bring_home)

    def _bring_home(self) -> None:
        """Copies what steps changed into the vectors of the host."""
        if self._runs:
            self.state.store.lend(self._bring_home)
            raise busy("the weights")
        self._away = False
        self._copy_home()

    def _copy_home(self) -> None:
        """What the card has; where it can give nothing any more, the last state that came home before.

        Raises:
            BackendError: the card is lost; with what is at home now.
        """
        theta, statistics = self.state.store.vectors_at_home()
        vectors = [theta, statistics, *self.state.slots_at_home()]
        try:
            self._card.enter()
            if self._changed:
                buffers = self._buffers
                made = [np.empty_like(vector) for vector in vectors]
                memories = buffers.theta, buffers.statistics, *buffers.slots
                for vector, memory in zip(made, memories, strict=True):  # all of one time, or none of them
                    self._card.get(vector, memory.address)
                for vector, target in zip(made, vectors, strict=True):
                    target[...] = vector
            else:
                self._snapshots.last(vectors, wait=True)
        except BackendError as error:
            counts = self._snapshots.last(vectors, wait=False) or self._at_home
            counts.restore(self.state)
            raise BackendError(f"{error}; the weights are those after step {counts.step}") from error
        self._changed = False

    def _rescue(self, error: BackendError) -> BackendError:
        """After an error of the card: what it can still give is at home then, else what came home last, of which the
        error tells."""
        try:
            self.state.store.home()
        except BackendError as other:
            return other
        return error

    # programs

    @reading
    def forward(self, inputs: Sequence[Array], outs: Sequence[Array], first: int = 0) -> None:
        plan, n = self.plan, inputs[0].shape[0]
        row_bytes = max(1, plan.row_elements * plan.dtype.itemsize)
        rows = max(1, min(n, FORWARD_BYTES // row_bytes))
        self._reserve(rows)
        widths = plan.inputs[:, InputEntry.COLUMNS].tolist()
        size = sum(widths) * rows * plan.dtype.itemsize
        if self._staging is None or self._staging.size < size:
            self._launches.clear()
            self._staging = None
            self._staging = self._card.allocate(size)
        for start in range(0, n, rows):
            stop = min(start + rows, n)
            at, lies = self._staging.address, []
            for X, width in zip(inputs, widths, strict=True):
                self._card.put(at, contiguous(X[start:stop], plan.dtype))
                lies.append((at, width))
                at += (stop - start) * width * plan.dtype.itemsize
            self._tables.tell(self.state, [0], None, updates=False, starts=[first + start])
            self._run(
                ("forward", stop - start, tuple(lies)),
                lambda network, count=stop - start, lies=tuple(lies): [  # type: ignore[misc]
                    *network.gather(network.sources(lies, (), ()), 0, count),
                    *network.forward(count, training=False),
                ],
            )
            for (unit, width, *_), out in zip(plan.outputs.tolist(), outs, strict=True):
                made = np.empty((stop - start, padded(width)), plan.dtype)
                self._card.get(made, self._buffers.unit(unit, width)[0])
                out[start:stop] = made[:, :width]

    @exclusive
    def gradient(self, data: Data, sums: Sums) -> None:
        self._steps(data, 0, 1, sums, "gradient")
        self._changed = True  # moving averages
        self._card.get(self.state.gradient, self._buffers.gradient.address)

    @exclusive
    def update(self) -> None:
        self._card.put(self._buffers.gradient.address, self.state.gradient)
        self._tables.tell(self.state, [0], None, updates=True)
        self._changed = True
        self._run(("update",), lambda network: network.update())
        self.state.counters[Counter.STEP] += 1

    @exclusive
    def run_steps(
        self, data: Data, first: int, last: int, sums: Sums, rates: Sums | None = None, stop: bool = False
    ) -> int:
        try:
            return self._train(data, first, last, sums, rates, stop)
        except BackendError as error:
            raise self._rescue(error) from error

    def _train(self, data: Data, first: int, last: int, sums: Sums, rates: Sums | None, stop: bool) -> int:
        at = first
        while at < last:
            # Whether to stop is known after each step, so that one is all that may be on its way.
            end = at + 1 if stop else last
            self._changed = True
            end = self._steps(data, at, end, sums, "steps", None if rates is None else rates[at - first :])
            self.state.counters[Counter.STEP] += end - at
            at = end
            if stop and not math.isfinite(sums[SUM_LOSS]):
                break
        if at == data.steps and self._changed:
            self._snapshots.take(self.state)  # so that a card that is lost takes little more than an epoch along
            self._changed = False
        return at - first

    @exclusive
    def shuffle(self, order: npt.NDArray[np.int64]) -> None:
        counters = self.state.counters
        shuffle(order, int(counters[Counter.SEED]), int(counters[Counter.EPOCH]))

    @reading
    def score(self, data: Data, first: int, last: int, sums: Sums) -> None:
        while first < last:
            first = self._steps(data, first, last, sums, "score")

    def buffer(self, unit: int, rows: int, width: int) -> Array:
        made = np.empty((rows, padded(width)), self.plan.dtype)
        self._card.get(made, self._buffers.unit(unit, width)[0])
        return made[:, :width]

    # steps

    def _steps(self, data: Data, first: int, last: int, sums: Sums, kind: str, rates: Sums | None = None) -> int:
        """Some of the steps first..last - 1, and their sums; gives the step after them."""
        self._reserve(min(data.batch_size, data.rows))
        residents = self._resident(data)
        last = min(last, first + MOST_STEPS, residents.end(first))
        firsts = residents.take(data, first, last)
        starts = [step * data.batch_size for step in range(first, last)]
        shares = [data.share(step) for step in range(first, last)]
        self._tables.tell(self.state, firsts, rates, updates=kind == "steps", starts=starts, shares=shares)
        has_r2 = any(not totals for totals in self._totals.metrics)
        if has_r2:
            self._card.put(self._buffers.sums.address, np.ascontiguousarray(sums))
        rows = [min(data.batch_size, data.rows - step * data.batch_size) for step in range(first, last)]
        self._runs = True
        try:
            whole = self._chain(data, residents) if kind == "steps" else None
            if whole is not None:
                whole(len(rows), residents.rows_of(data, last))
            for count in rows if whole is None else ():
                self._run(
                    (kind, count, residents.key),
                    lambda network, count=count: self._step(network, residents, kind, count),  # type: ignore[misc]
                )
            residents.started(data)
            made = self._tables.read(len(rows))
        finally:
            self._runs = False
        for count, share, totals in zip(rows, shares, made.tolist(), strict=True):
            self._add(count, share, totals, sums)
        if has_r2:
            whole = np.empty(self.plan.sums)
            self._card.get(whole, self._buffers.sums.address)
            for row, totals in zip(self.plan.metrics.tolist(), self._totals.metrics, strict=True):
                if not totals:
                    part = slice(row[MetricEntry.SLOT], row[MetricEntry.SLOT] + row[MetricEntry.SLOTS])
                    sums[part] = whole[part]
        return last

    def _resident(self, data: Data) -> Residents:
        """Copies of data on the card, and weights of 1 for what has none of its own."""
        for index, one in enumerate(self._residents):
            if one.holds(data):
                found = self._residents.pop(index)
                break
        else:
            del self._residents[: 1 - MOST_DATA]  # given back before more is taken
            found = Residents(self._card, self.plan.dtype, data)
        self._residents.append(found)
        if self._ones_of != found.serial:
            lies = found.lies[len(self.plan.inputs) + len(self.plan.losses) :]
            self._card.launch(self._network().ones([index for index, there in enumerate(lies) if there is None]))
            self._ones_of = found.serial
        return found

    def _chain(self, data: Data, residents: Residents) -> Any:
        """What starts a whole slice, where the plan is a small chain; else None."""
        key = min(data.batch_size, data.rows), *residents.key
        if key not in self._chains:
            if len(self._chains) == MOST_CHAINS:
                del self._chains[next(iter(self._chains))]
            self._chains[key] = self._made_chain(data, residents)
        return self._chains[key]

    def _made_chain(self, data: Data, residents: Residents) -> Any:
        plan, batch = self.plan, min(data.batch_size, data.rows)
        made = chain(plan, batch, self._totals.metrics[0][0] if any(self._totals.metrics) else -1)
        if made is None:
            return None
        size, room = made.elements * plan.dtype.itemsize, None
        if size > self._card.shared_bytes:
            if made.flops > GRID_FLOPS:
                return None
            room = self._card.allocate(8 + size)
        layers = self._card.allocate(made.table.nbytes)
        self._card.put(layers.address, made.table)
        places = [0 if one is None else one[0][0] for one in residents.lies]
        outputs = int(plan.losses[0, LossEntry.OUTPUTS])
        weight = float(plan.constants[plan.losses[0, LossEntry.WEIGHT]])
        last = data.rows - (data.steps - 1) * data.batch_size if data.rows > data.batch_size else batch
        shares = [loss_scale(made.loss, rows, outputs) * weight for rows in (batch, last)]
        vectors = [memory.address for memory in (self._buffers.theta, *self._buffers.slots)]
        data_there = layers.address, *places, residents.order
        tables = self._tables
        of_steps = tables.address("firsts"), tables.address("scalars"), tables.address("decays"), tables.total(0)
        slice_of = self._launcher.chain(made, vectors, data_there, of_steps, tables.totals, shares, layers, room)

        def start(count: int, rows: int) -> None:
            if room is not None:
                self._card.zero(room.address, 8)
            self._card.launch([slice_of(count, rows)])

        return start

    def _step(self, network: Network, residents: Residents, kind: str, rows: int) -> list[Launch]:
        """One step of a batch of so many rows."""
        losses, inputs = len(self.plan.losses), len(self.plan.inputs)
        lies = [None if one is None else one[0] for one in residents.lies]
        weights = lies[inputs + losses :]
        sources = network.sources(lies[:inputs], lies[inputs : inputs + losses], weights)  # type: ignore[arg-type]
        launches = network.gather(sources, residents.order, rows)
        launches += network.forward(rows, training=kind != "score") + network.losses(rows)
        if kind != "score":
            launches += network.backward(rows)
        if kind == "steps":
            launches += network.update()
        return launches + network.advance()

    def _add(self, rows: int, share: float, totals: list[float], sums: Sums) -> None:
        """Adds the totals of a step to the sums, as `Passes` does."""
        plan, whole, penalty = self.plan, 0.0, 0.0
        for index, loss in zip(self._totals.losses, plan.losses.tolist(), strict=True):
            if loss[LossEntry.SLOT] >= 0:
                sums[loss[LossEntry.SLOT]] += totals[index]
            whole += float(plan.constants[loss[LossEntry.WEIGHT]]) * totals[index]
        for index, (_, factor, _) in enumerate(self._totals.penalties, self._totals.first_penalty):
            penalty += factor * totals[index]
        sums[SUM_LOSS] += whole + rows * (share * penalty)
        sums[SUM_COUNT] += rows
        for row, numbers in zip(plan.metrics.tolist(), self._totals.metrics, strict=True):
            for place, index in enumerate(numbers):
                sums[row[MetricEntry.SLOT] + place] += totals[index]

    def _reserve(self, rows: int) -> None:
        if self._buffers.reserve(rows):
            self._launches.clear()
            self._ones_of = -1

    def _network(self) -> Network:
        seed = int(self.state.counters[Counter.SEED])
        return Network(self.plan, self._buffers, self._tables, self._launcher, self._totals, seed)

    def _run(self, key: tuple[Any, ...], make: Any) -> None:
        """Runs launches, which are made once."""
        key = (*key, int(self.state.counters[Counter.SEED]))
        found = self._launches.get(key)
        if found is None:
            if len(self._launches) == MOST_WORKS:
                del self._launches[next(iter(self._launches))]
            found = self._launches[key] = Work(self._card, make(self._network()))
        found.run()
