"""The faults in Numba's kernels and their pool."""

from __future__ import annotations

from .fault import fault

KERNELS = "fastnn/backends/numba_cpu"

IN_NUMBA = (
    fault(
        "numba-tile-edge",
        f"{KERNELS}/gemm_tile.py",
        "        f.carry(a.n, a.B, column, 2 * tile_lanes(f).width)",
        "        f.carry(a.n - 1, a.B, column, 2 * tile_lanes(f).width)",
        "a last lone column of a product is left as it was",
        "gemm",
    ),
    fault(
        "numba-vector-edge",
        f"{KERNELS}/frame.py",
        "        with self.when(whole < count):",
        "        with self.when(whole + 1 < count):",
        "a last lone element behind whole vectors is left as it was",
        "operations",
    ),
    fault(
        "numba-slope-sign",
        f"{KERNELS}/losses.py",
        "row.each(lambda i, k: row.store((row.load(a.P, i, k) - target(i, k)) * s, a.dZ, i, k))",
        "row.each(lambda i, k: row.store((target(i, k) - row.load(a.P, i, k)) * s, a.dZ, i, k))",
        "training on class numbers goes uphill",
        "operations",
    ),
    fault(
        "numba-swapped-stride",
        "fastnn/backends/numba_cpu/operations.py",
        "crossentropy_backward(dtype, code, a, la, b, lb, c, lc, d, ld, rows,",
        "crossentropy_backward(dtype, code, a, la, b, lb, c, ld, d, lc, rows,",
        "targets are read with the row stride of the weights",
        "operations",
    ),
    fault(
        "numba-barrier",
        "fastnn/backends/numba_cpu/rows.py",
        'of which each member takes columns."""\n    barrier(m.sync, batch.team)\n',
        'of which each member takes columns."""\n',
        "a thread takes the moments of a batch whose other rows are not there yet",
        "programs",
    ),
    fault(
        "numba-no-rows",
        "fastnn/backends/numba_cpu/network.py",
        "        block, base, crew, blocks = last - first, first, m.team, 1",
        "        block, base, crew, blocks = last - first, first, m.team, int(last > first)",
        "a thread without rows does not come to the barriers of a shared layer: the others wait for ever",
        "large_layers",
        "programs",
    ),
    fault(
        "numba-piece-lost",
        "fastnn/backends/numba_cpu/parameters.py",
        "            piece += 1\n            left -= rows * all_columns\n",
        "            left -= rows * all_columns\n",
        "a bias is not counted among the pieces of a large model: what comes next is updated by nobody",
        "large_layers",
        "programs",
    ),
    fault(
        "numba-unlocked",
        "fastnn/backends/compiled.py",
        "    @reading\n    def forward(",
        "    def forward(",
        "predictions of one model in several threads share its buffers",
        "numba",
        "concurrency",
    ),
    fault(
        "numba-stale-data",
        "fastnn/backends/compiled.py",
        "        if data is self._data():\n",
        "        if self._data() is not None:\n",
        "validation scores the training data while both are alive",
        "training",
    ),
    fault(
        "numba-order",
        f"{KERNELS}/rows.py",
        "source = integer_at(order, row) if order != 0 else row\n",
        "source = integer_at(order, row - batch_start) if order != 0 else row\n",
        "every batch of a shuffled epoch has the rows of the first one",
        "programs",
    ),
    fault(
        "numba-last-weight",
        "fastnn/backends/numba_cpu/rows.py",
        "    scale(m.dtype, scales, weights, rows, real(m.dtype, share))",
        "    scale(m.dtype, scales, weights, max(rows - 1, 0), real(m.dtype, share))",
        "the last row of a thread has the sample weight of the step before",
        "programs",
    ),
    fault(
        "numba-step-precision",
        f"{KERNELS}/optimizers.py",
        "f.lanes.splat(f.scalar.convert(scalar))",
        'f.lanes.splat(f.scalar.convert(Lanes(f.builder, "float32", None).convert(scalar)))',
        "steps in float64 have scalars, Adam's corrected rate too, of float32",
        "programs",
    ),
    fault(
        "numba-norm-last",
        "fastnn/backends/numba_cpu/update.py",
        "        number, count = 0, entry(m, Entry.PARAMETER_COUNT)",
        "        number, count = 0, entry(m, Entry.PARAMETER_COUNT) - 1",
        "the global norm of a gradient leaves out the last parameter",
        "programs",
    ),
    fault(
        "numba-moving-averages",
        "fastnn/backends/numba_cpu/rows.py",
        "        if batch.training and has_call(its_calls, Slot.FORWARD_COLUMNS):",
        "        if has_call(its_calls, Slot.FORWARD_COLUMNS):",
        "predictions and scores move the averages of BatchNormalization",
        "steps",
        "programs",
    ),
    fault(
        "numba-loss-weight",
        "fastnn/backends/numba_cpu/rows.py",
        "        share = share * constant(m, integer_at(loss, LossEntry.WEIGHT))\n",
        "",
        "the weights of several losses are in what is reported and not in the gradient",
        "graph_programs",
    ),
    fault(
        "numba-team-environment",
        f"{KERNELS}/pool.py",
        """\
        before = exchange_mxcsr(np.uint32(IEEE_DEFAULT))
        call_worker(function, call, member, team)
        exchange_mxcsr(before)
        member = -1""",
        """\
        call_worker(function, call, member, team)
        member = -1""",
        "a team computes with the caller's flush-to-zero and rounding",
        "operations",
        "numba",
    ),
    fault(
        "numba-fork",
        f"{KERNELS}/jit.py",
        "compiling = forks.lock(forks.Rank.COMPILING)\n",
        "import threading\n\ncompiling = threading.RLock()\n",
        "a child that is forked while another thread compiles finds locks that nobody will open",
        "concurrency",
    ),
)
