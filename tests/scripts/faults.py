"""The faults that `mutants.py` plants. Each changes results or behaviour; none is equivalent to the right code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A text of a file, which occurs there once, and what a mistaken programmer would have written."""

    name: str
    file: str
    before: str
    after: str
    why: str  # what goes wrong, and for whom
    tests: tuple[str, ...]  # files of tests/ that are tried first


def fault(name: str, file: str, before: str, after: str, why: str, *tests: str) -> Fault:
    """A `Fault` whose tests are called by what follows "test_"."""
    return Fault(name, file, before, after, why, tuple(f"test_{test}.py" for test in tests))


KERNELS = "fastnn/backends/numba_cpu"

IN_C = (
    fault(
        "c-tile-edge",
        "csrc/gemm_tile.h",
        "for (int64_t column = 0; column < p->n; column += 2 * W, B += p->panel) {",
        "for (int64_t column = 0; column < p->n - 1; column += 2 * W, B += p->panel) {",
        "a last lone column of a product is left as it was",
        "gemm",
    ),
    fault(
        "c-dots-chunk-255",
        "csrc/gemm_few.c",
        """\
            const int64_t end = fnn_least(start + FNN_K_CHUNK, k);
            V sum[""",
        """\
            const int64_t end = fnn_least(start + FNN_K_CHUNK - 1, k);
            V sum[""",
        "chunks of 255 products where C has few columns: other bits for k > 255",
        "gemm",
    ),
    fault(
        "c-starts-from-bias",
        "csrc/gemm_tile.h",
        """\
    FN(add)(rows, vectors, full, ahead, next, &t, p->a_row, p->a_k, p->ldb, p->n - column, p->k);
    FN(finish)(rows, vectors, &t, p, column);
""",
        """\
    FN(product) rest = *p;
    if (p->flags & FNN_BIAS) {
        for (int j = 0; j < vectors; j++) {
            for (int i = 0; i < rows; i++) {
                t.sum[i][j] = LOAD_FIRST(p->bias + column + j * W, p->n - column - j * W);
            }
        }
        rest.flags &= ~FNN_BIAS;
    }
    FN(add)(rows, vectors, full, ahead, next, &t, p->a_row, p->a_k, p->ldb, p->n - column, p->k);
    FN(finish)(rows, vectors, &t, &rest, column);
""",
        "accumulators start from the bias instead of +0: other bits, and a sum of -0 from a bias of -0",
        "gemm",
    ),
    fault(
        "c-relu-nan",
        "csrc/gemm_tile.h",
        "t->sum[i][j] = SELECT(LT(t->sum[i][j], SPLAT((real)0)), SPLAT((real)0), t->sum[i][j]);",
        "t->sum[i][j] = SELECT(GT(t->sum[i][j], SPLAT((real)0)), t->sum[i][j], SPLAT((real)0));",
        "the relu behind a product turns NaN into 0, and -0 into +0",
        "programs",
    ),
    fault(
        "c-mask-15",
        "csrc/vector.h",
        "return (M)(n >= W ? -1 : (int)((1U << n) - 1U));",
        "return (M)(n >= W ? 0x7FFF : (int)((1U << n) - 1U));",
        "AVX-512: a full mask of float32 has 15 lanes",
        "operations",
    ),
    fault(
        "c-avx2-fold",
        "csrc/lanes.h",
        """\
    const __m256d low = max ? _mm256_max_pd(lanes[2], lanes[0]) : _mm256_add_pd(lanes[0], lanes[2]);
    const __m256d high = max ? _mm256_max_pd(lanes[3], lanes[1]) : _mm256_add_pd(lanes[1], lanes[3]);
""",
        """\
    const __m256d low = max ? _mm256_max_pd(lanes[2], lanes[0]) : _mm256_add_pd(lanes[0], lanes[1]);
    const __m256d high = max ? _mm256_max_pd(lanes[3], lanes[1]) : _mm256_add_pd(lanes[2], lanes[3]);
""",
        "AVX2: lanes of a float64 row fold at distance 4 before 8, which only the bits show",
        "instruction_sets",
        "c",
    ),
    fault(
        "c-portable-fma",
        "csrc/vector.h",
        "    return fnn_fma_exact(a, b, c);\n",
        "    return a * b + c;\n",
        "portable level: the fma of float64 rounds twice",
        "instruction_sets",
        "c",
    ),
    fault(
        "c-portable-odd",
        "csrc/vector.h",
        "bits += (bits ^ error_bits) < 0 ? -1 : 1;",
        "bits += (bits ^ error_bits) < 0 ? 1 : -1;",
        "portable level: the fma of float32 rounds ties of the double sum the wrong way (one case in 2^29)",
        "instruction_sets",
        "c",
    ),
    fault(
        "c-gather-stride",
        "csrc/elementwise.c",
        "    if (stride == size) {\n",
        "    if (stride >= size) {\n",
        "X whose columns lie apart is read beside its row",
        "programs",
        "training",
    ),
    fault(
        "c-split-k-order",
        "csrc/operations.c",
        "    for (int64_t other = 0; other < team; other++) {\n"
        "        const real *sums = (const real *)call->scratch + other * FNN_SCRATCH + FNN_PACK_SIZE;\n"
        "        fnn_share(chunks, 1, other, team, &first, &last);\n"
        "        for (int64_t chunk = first; chunk < last; chunk++) {\n"
        "            FN(add_chunk)(chunk == 0, ",
        "    for (int64_t turn = 0; turn < team; turn++) {\n"
        "        const int64_t other = (member + turn) % team;\n"
        "        const real *sums = (const real *)call->scratch + other * FNN_SCRATCH + FNN_PACK_SIZE;\n"
        "        fnn_share(chunks, 1, other, team, &first, &last);\n"
        "        for (int64_t chunk = first; chunk < last; chunk++) {\n"
        "            FN(add_chunk)(turn == 0 && chunk == first, ",
        "whoever finishes last adds its own chunks of k first: the bits depend on who that is",
        "gemm",
    ),
    fault(
        "c-barrier",
        "csrc/network.c",
        "        FN(row_phase)(m, &batch, start);\n        fnn_barrier(m->sync, m->team);\n",
        "        FN(row_phase)(m, &batch, start);\n",
        "a thread sums losses and makes gradients of rows that another has not finished",
        "programs",
    ),
    fault(
        "c-pieces-kept",
        "csrc/threads.c",
        "        atomic_store_explicit(&sync->pieces, 0, memory_order_relaxed);\n",
        "",
        "pieces of one layer count for the next one: its first ones are done by nobody",
        "large_layers",
        "programs",
    ),
    fault(
        "c-predict-base",
        "csrc/network.c",
        "const int64_t base = together ? first : m->number * block;",
        "const int64_t base = together ? first : 0;",
        "threads predict in the same rows of the workspace: a row depends on how many are beside it",
        "programs",
    ),
    fault(
        "c-environment",
        "csrc/threads.c",
        "    _mm_setcsr(before);\n",
        "",
        "the caller's floating-point environment does not come back",
        "operations",
    ),
    fault(
        "c-dropout-layer",
        "csrc/philox.c",
        "PHILOX(words, (row * stride + column) / 4, seed, FNN_PURPOSE_DROPOUT, step, layer);",
        "PHILOX(words, (row * stride + column) / 4, seed, FNN_PURPOSE_DROPOUT, step, 0);",
        "dropout layers of one model share their masks",
        "operations",
    ),
    fault(
        "c-rate-twice",
        "csrc/update.c",
        "fnn_##name##_prepare(rate, s.products,",
        "fnn_##name##_prepare((double)(float)rate, s.products,",
        "the learning rate is rounded to float32 before a step's scalars are made of it, and they again",
        "programs",
    ),
    fault(
        "c-share-of-the-first",
        "csrc/network.c",
        "data->shares != NULL ? data->shares[step] : 1.0",
        "data->shares != NULL ? data->shares[run->first] : 1.0",
        "all steps of a call have the first one's share of the penalties",
        "programs",
    ),
    fault(
        "c-penalty-by-batch",
        "csrc/network.c",
        "+ (double)rows * (m->share * FN(penalty)(program));",
        "+ m->share * FN(penalty)(program);",
        "the loss that is reported has 1/B of the penalty",
        "programs",
    ),
    fault(
        "c-second-gradient",
        "csrc/rows.c",
        "if (at[FNN_COLUMN_GRAD_SRC] < 0 && at[FNN_COLUMN_GRAD_SECOND] < 0) {",
        "if (at[FNN_COLUMN_GRAD_SRC] < 0) {",
        "what is subtracted has no gradient where the gradient of the other side is given on",
        "graph_programs",
    ),
    fault(
        "c-last-use",
        "csrc/parameters.c",
        "const bool next = use != row[FNN_PARAMETER_NEXT];",
        "const bool next = false;",
        "the gradients of a layer that is called twice are not added: its last call counts alone",
        "graph_programs",
        "large_layers",
    ),
)

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
        "    @exclusive\n    def forward(self, inputs: Sequence[Array], outs: Sequence[Array]) -> None:\n",
        "    def forward(self, inputs: Sequence[Array], outs: Sequence[Array]) -> None:\n",
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
        """\
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=compiling.acquire, after_in_parent=compiling.release, after_in_child=compiling.release)
""",
        "",
        "a child that is forked while another thread compiles finds locks that nobody will open",
        "concurrency",
    ),
)

IN_PYTHON = (
    # the contract: every backend agrees with every other
    fault(
        "core-huber-sign",
        "fastnn/core/losses.py",
        "return o.select(d > p, p, o.select(-p > d, -p, d))",
        "return o.select(d > p, p, o.select(-p > d, p, d))",
        "the slope of Huber's loss far below the target has the wrong sign, on every backend",
        "operations",
    ),
    fault(
        "core-float32-constant",
        "fastnn/core/formulas.py",
        "SQRT_2_OVER_PI = 0.7978845608028654",
        "SQRT_2_OVER_PI = 0.7978845834732056",
        "gelu's tanh form has the constant of float32 in float64 too",
        "operations",
    ),
    fault(
        "core-bias-correction",
        "fastnn/core/steps.py",
        "(rate * o.sqrt(1.0 - p2) / (1.0 - p1), 1.0 - b1, 1.0 - b2, eps)",
        "(rate * o.sqrt(1.0 - p2) / (1.0 - b1), 1.0 - b1, 1.0 - b2, eps)",
        "Adam corrects the mean of gradients in every step as in the first, on every backend",
        "optimizers",
        "keras_golden",
    ),
    fault(
        "core-chunk-255",
        "fastnn/core/arithmetic.py",
        "K_CHUNK = 256  #",
        "K_CHUNK = 255  #",
        "every backend sums in chunks of 255: they agree, against the contract",
        "operations",
    ),
    fault(
        "core-flush",
        "fastnn/core/arithmetic.py",
        'FLUSH_BITS = {"float32": 0x7 << 28,',
        'FLUSH_BITS = {"float32": 0x3 << 29,',
        "momentum of float32 becomes 0 below 2^-63 instead of 2^-95",
        "arithmetic",
    ),
    fault(
        "core-activation-in-place",
        "fastnn/core/buffers.py",
        'step.saved == "output" and maker is not None and',
        "maker is not None and",
        "an activation overwrites the input that its slope reads, on every backend",
        "plan",
        "programs",
    ),
    fault(
        "core-activation-over-read",
        "fastnn/core/buffers.py",
        "step.row[Column.FUSED] or readers > 1:",
        "step.row[Column.FUSED]:",
        "an activation overwrites what another layer or the caller reads, on every backend",
        "buffers",
        "graph_programs",
    ),
    fault(
        "core-gradient-over-read",
        "fastnn/core/buffers.py",
        "return self.readers == 1 and not self.kept",
        "return not self.kept",
        "a gradient that a sum gives on to two is overwritten by the first, on every backend",
        "buffers",
        "graph_programs",
    ),
    fault(
        "core-fan-order",
        "fastnn/core/buffers.py",
        "first, second = several.pop(), several.pop()",
        "first, second = several.pop(0), several.pop(0)",
        "the gradients of a value's last readers are added first, on every backend",
        "buffers",
    ),
    fault(
        "core-maximum-ties",
        "fastnn/core/binary.py",
        "return o.select(b > a, d, o.select(a == b, 0.5 * d, 0.0))",
        "return o.select(b > a, d, o.select(a == b, d, 0.0))",
        "equal sides of a maximum have one and a half gradients, on every backend",
        "operations",
    ),
    fault(
        "core-clip-norms",
        "fastnn/core/lowering.py",
        '"norm": Clip.NORM, "global_norm": Clip.GLOBAL_NORM}',
        '"norm": Clip.GLOBAL_NORM, "global_norm": Clip.GLOBAL_NORM}',
        "clipnorm takes the norm of the whole gradient, on every backend",
        "clipping",
    ),
    fault(
        "core-not-atomic",
        "fastnn/core/files.py",
        "            _replace(target, before, content)\n",
        "            _write_in_place(target, content)\n",
        "a crash while a model is saved leaves half a file",
        "saving",
        "kill",
    ),
    # backends
    fault(
        "backends-last-batch",
        "fastnn/backends/data.py",
        "return -(-self.rows // self.batch_size)",
        "return self.rows // self.batch_size",
        "the last rows of an epoch, fewer than a batch, are left out",
        "training",
    ),
    fault(
        "backends-last-slice",
        "fastnn/backends/protocol.py",
        "        for start in range(0, n, rows):",
        "        for start in range(0, n - rows + 1, rows):",
        "predictions by operations end before the last part of 256 rows",
        "programs",
    ),
    fault(
        "backends-key-formulas",
        "fastnn/backends/disk_cache.py",
        '    "core/formulas.py",\n',
        "",
        "kernels on disk outlive a change of their formulas",
        "numba",
    ),
    fault(
        "backends-key-random",
        "fastnn/backends/disk_cache.py",
        '    "core/random.py",\n',
        "",
        "kernels on disk outlive a change of the random numbers",
        "numba",
        "warmup",
    ),
    # declarations
    fault(
        "layers-penalty",
        "fastnn/layers/core.py",
        'bias = self._spec("bias", self.bias_regularizer, rules)',
        'bias = self._spec("bias", self.kernel_regularizer, rules)',
        "a bias has the penalty of its kernel",
        "clipping",
        "layers",
    ),
    fault(
        "optimizers-nesterov",
        "fastnn/optimizers/descent.py",
        'return "nesterov" if self.nesterov else "momentum", (self.momentum,)',
        'return "momentum" if self.nesterov else "nesterov", (self.momentum,)',
        "SGD takes the steps of the other momentum",
        "optimizers",
    ),
    fault(
        "optimizers-schedule",
        "fastnn/optimizers/base.py",
        "        steps = range(first_step, first_step + count)\n",
        "        steps = range(first_step + 1, first_step + 1 + count)\n",
        "each step has the learning rate of the next one",
        "schedules",
    ),
    fault(
        "metrics-r2",
        "fastnn/metrics/r2.py",
        "spread = squares - total * total / count",
        "spread = squares - total * total",
        "r2_score is measured against another variance",
        "metrics",
    ),
    fault(
        "callbacks-history-first",
        "fastnn/callbacks/base.py",
        "            self.callbacks.append(self.history)",
        "            self.callbacks.insert(0, self.history)",
        "the history is told before the callbacks that add to the results",
        "watching",
    ),
    fault(
        "callbacks-best-epoch",
        "fastnn/callbacks/stopping.py",
        "                self.best_weights = self.model.get_weights()",
        "                self.best_weights = self.model.weights",
        "EarlyStopping keeps views, and so restores the last epoch",
        "watching",
    ),
    # the engine
    fault(
        "engine-split",
        "fastnn/engine/requests.py",
        "    return rows.part(0, cut), last if self.class_weight",
        "    return rows.part(0, cut + 1), last if self.class_weight",
        "the first row of the validation split is trained on, too",
        "training",
    ),
    fault(
        "engine-class-weight",
        "fastnn/engine/requests.py",
        "    if sample_weight is None and class_weight is None:",
        "    if sample_weight is None:",
        "class_weight does nothing",
        "training",
    ),
    fault(
        "engine-steps-per-epoch",
        "fastnn/engine/training.py",
        "request.steps_per_epoch != data.steps:",
        "request.steps_per_epoch < data.steps:",
        "more steps than an epoch has are no error",
        "fit_arguments",
    ),
    fault(
        "engine-layer-numbers",
        "fastnn/engine/graph.py",
        "        builder.next_layer()\n",
        "",
        "dropout layers of one model share their masks, on every backend",
        "plan",
        "layers",
    ),
    fault(
        "engine-weighted-metric",
        "fastnn/engine/compiling.py",
        "metric.value(totals, float(totals[-1]) if weighted else rows)",
        "metric.value(totals, rows)",
        "weighted metrics are divided by the rows",
        "metrics",
    ),
    fault(
        "engine-compile-again",
        "fastnn/engine/compiling.py",
        "new.state.scalars[Scalar.PRODUCTS :] = old.state.scalars[Scalar.PRODUCTS :]",
        "new.state.scalars[Scalar.PRODUCTS + 1 :] = old.state.scalars[Scalar.PRODUCTS + 1 :]",
        "compiling again with the same Adam begins one of its corrections anew",
        "models",
    ),
    fault(
        "engine-resume",
        "fastnn/engine/saving.py",
        """\
        for name, view in views.items():
            view[...] = file.read(name)
""",
        """\
        for name, view in views.items():
            if name != "optimizer/scalars":
                view[...] = file.read(name)
""",
        "a loaded model has lost the powers of Adam's betas",
        "saving",
    ),
    fault(
        "engine-shape-trusted",
        "fastnn/engine/tensors.py",
        "if actual != shape or DTYPES.get(code) not in dtypes:",
        "if DTYPES.get(code) not in dtypes:",
        "the shape that a file gives for a tensor is believed",
        "files",
    ),
    fault(
        "engine-header-trusted",
        "fastnn/engine/tensors.py",
        'if head[8:] == b"{" and length <= min(size - 8, HEADER_LIMIT):',
        'if head[8:] == b"{" and length <= size - 8:',
        "a header of any length is read into memory",
        "files",
    ),
    fault(
        "engine-small-nan",
        "fastnn/engine/checks.py",
        "if array.size <= _SMALL and (np.abs(array) <= largest(array.dtype, self.dtype)).all():",
        "if array.size <= _SMALL and not (np.abs(array) > largest(array.dtype, self.dtype)).any():",
        "NaN in few rows is trained on",
        "bad_input",
    ),
    fault(
        "engine-labels",
        "fastnn/engine/checks.py",
        "        if low >= 0 and high < self.outputs:",
        "        if low >= 0 and high <= self.outputs:",
        "the class number C is no error",
        "bad_input",
    ),
    # settings and the command line
    fault(
        "config-seed",
        "fastnn/config.py",
        """\
    _settings.seed = seed
    _settings.models = itertools.count()
""",
        """\
    _settings.seed = seed
""",
        "the same seed again gives other models",
        "models",
    ),
    fault(
        "cli-validation-rows",
        "fastnn/cli/data.py",
        "order[tested : tested + validated], order[tested + validated :]",
        "order[tested : tested + validated], order[tested:]",
        "`fastnn train` stops by rows that it trains on",
        "cli_data",
    ),
)

FAULTS = (*IN_C, *IN_NUMBA, *IN_PYTHON)
