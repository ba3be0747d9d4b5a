"""A whole slice of steps of a small network in one launch: by one block, in whose shared memory theta, slots and a
batch lie; or by a grid with a barrier of its own, for those that do not fit there. `small_phases.py` has its parts."""

from __future__ import annotations

from ...core.arithmetic import LANES
from . import small_phases as phases
from .compiler import TYPES, cuda, repeated
from .geometry import THREADS
from .small_tools import Tools
from .templates import LANE_BITS, Source


def steps(dtype: str, classes: bool, grid: bool = False) -> Source:
    """All steps of a slice, for the loss of classes or those by element, by one block or by a `grid`.

    Arguments: the addresses of the room that a grid works in, and of the count of its barrier, which is 0; of theta and
    the slots (three; 0: there is none); of the table of layers, inputs, targets, weights (0: 1), the order (0: as they
    lie); of the tables of the first rows of steps, of their scalars and of their decays, of their totals. Layers,
    steps, rows of a batch, of all; float64 between the totals of steps; elements of theta. Where in the room or in
    shared memory weights, targets, losses and values of the metric of each row begin. Columns of a row of targets; -1
    or the first total of the metric, 1 where it is weighted. The codes of the loss by element and of the optimizer, 1
    where gradients are limited. What the slope of a loss is multiplied by in a whole batch, and in the last; the limit.
    """
    t = Tools(dtype, grid)
    integer, meet, on_grid = t.integer, t.meet, t.on_grid
    load, gather, forward = phases.loading(t), phases.gathering(t), phases.forward_pass(t)
    lose, add_up, backward = phases.losses(t, classes), phases.totals(t), phases.backward_pass(t)
    update, store = phases.updates(t), phases.storing(t)

    def kernel(room, counter, vectors, data, tables, sizes, places, metrics, codes, reals):  # type: ignore[no-untyped-def]
        (table, _, _, _, _), (firsts, scalars, decays, totals) = data, tables
        layers, count, batch, rows_of_all, apart, size = sizes
        (y_width, _, _), (loss, optimizer, limited) = metrics, codes
        whole_share, last_share, limit = reals
        thread, threads, turn = cuda.threadIdx.x + 0, THREADS, 0
        if on_grid > 0:
            thread += cuda.blockIdx.x * THREADS
            threads *= cuda.gridDim.x
        lane, group, groups = thread & (LANES - 1), thread >> LANE_BITS, threads >> LANE_BITS
        load(room, vectors, size, thread, threads)
        step = 0
        while step < count:
            first = integer(firsts, step)
            rows = min(batch, rows_of_all - first)
            share = whole_share if rows == batch else last_share
            gather(room, data, places, y_width, first, rows, thread, threads)
            turn = meet(counter, turn)
            turn = forward(room, counter, turn, table, layers, rows, thread, threads)
            lose(room, table, layers, places, share, loss, rows, lane, group, groups)
            turn = meet(counter, turn)
            add_up(room, totals, step * apart, metrics, places, rows, thread, threads)
            turn = backward(room, counter, turn, table, layers, rows, thread, threads)
            stepping = scalars, decays, step, optimizer, limited
            update(room, table, layers, size, stepping, limit, rows, thread, threads)
            turn = meet(counter, turn)
            step += 1
        store(room, vectors, size, thread, threads)

    addresses = (TYPES["address"], TYPES["address"], *(repeated("address", count) for count in (4, 5, 4)))
    integers = tuple(repeated("integer", count) for count in (6, 4, 3, 3))
    arguments = *addresses, *integers, repeated(dtype, 3)
    return Source(kernel, arguments, (THREADS, 1))
