"""Plants faults, one at a time, and runs the tests against each: a suite that lets one through is too weak there.

    python tests/scripts/mutants.py                          all faults (hours on two cores)
    python tests/scripts/mutants.py --only c-tile-edge core-chunk-255
    python tests/scripts/mutants.py --list                   their names, and whether they still fit the sources
    python tests/scripts/mutants.py --report tests/scripts/mutants.md
    python tests/scripts/mutants.py --suite OLD/tests        the tests of another checkout against the same faults

It works on copies: of HEAD, in a temporary folder, and of an environment in which HEAD is installed (made for the
purpose, or --venv DIR, which needs the test extra and whose extension must be that of HEAD). A fault in Python is
written over the installed file, one in C is compiled and takes the place of the extension, one in the contract does
both. Then pytest runs, first on the files that know the subject, then, if they pass, on all of them. Before the first
fault those files have to pass without one.

Each fault changes results or behaviour; none is equivalent to the right code. Those of one instruction set need a
processor that has it. Some are not caught: "nothing" in the report is where a test is lacking.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("CC", "cc").split()
# What the headers of the extension are generated from, beside csrc.
CONTRACT = (
    *(f"fastnn/core/{name}.py" for name in ("arithmetic", "formulas", "operations", "plan", "random")),
    "fastnn/backends/tuning.py",
)
TEST_LIMIT = 200  # seconds of a single test: then it hangs
RUN_LIMIT = 3600  # seconds of a run of pytest


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
        "csrc/worker.c",
        """\
    for (int64_t other = 0; other < team; other++) {
        const real *sums = (const real *)call->pack + other * FNN_SCRATCH + FNN_PACK_SIZE;
        fnn_share(chunks, 1, other, team, &first, &last);
        for (int64_t chunk = first; chunk < last; chunk++) {
            FN(add_chunk)(chunk == 0, """,
        """\
    for (int64_t turn = 0; turn < team; turn++) {
        const int64_t other = (member + turn) % team;
        const real *sums = (const real *)call->pack + other * FNN_SCRATCH + FNN_PACK_SIZE;
        fnn_share(chunks, 1, other, team, &first, &last);
        for (int64_t chunk = first; chunk < last; chunk++) {
            FN(add_chunk)(turn == 0 && chunk == first, """,
        "whoever finishes last adds its own chunks of k first: the bits depend on who that is",
        "gemm",
    ),
    fault(
        "c-barrier",
        "csrc/network.c",
        """\
        FN(row_phase)(run, sync, member, team, start, batch_rows);
        fnn_barrier(sync, team);
""",
        """\
        FN(row_phase)(run, sync, member, team, start, batch_rows);
""",
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
        "const int64_t base = together ? first : member * block;",
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
        "csrc/parameters.c",
        "s.h[0] = rate * __builtin_sqrt(1.0 - s.power_2) / (1.0 - s.power_1);",
        "s.h[0] = (double)(float)rate * __builtin_sqrt(1.0 - s.power_2) / (1.0 - s.power_1);",
        "Adam's rate is rounded to float32 before its correction and after it",
        "programs",
    ),
    fault(
        "c-penalty-by-batch",
        "csrc/network.c",
        "+ (double)rows * FN(penalty)(program);",
        "+ FN(penalty)(program);",
        "the loss that is reported has 1/B of the penalty",
        "programs",
    ),
)

IN_NUMBA = (
    fault(
        "numba-tile-edge",
        f"{KERNELS}/gemm_tile.py",
        "        f.carry(n, [B], column, 2 * o.width)",
        "        f.carry(builder.sub(n, I64(1)), [B], column, 2 * o.width)",
        "a last lone column of a product is left as it was",
        "gemm",
    ),
    fault(
        "numba-vector-edge",
        f"{KERNELS}/frame.py",
        '        with self.builder.if_then(self.builder.icmp_signed("<", whole, count)):',
        '        with self.builder.if_then(self.builder.icmp_signed("<", self.builder.add(whole, I64(1)), count)):',
        "a last lone element behind whole vectors is left as it was",
        "operations",
    ),
    fault(
        "numba-slope-sign",
        f"{KERNELS}/losses.py",
        "row.each(lambda i, k: row.store((row.load(P, i, k) - target(i, k)) * s, dZ, i, k))",
        "row.each(lambda i, k: row.store((target(i, k) - row.load(P, i, k)) * s, dZ, i, k))",
        "training on class numbers goes uphill",
        "operations",
    ),
    fault(
        "numba-swapped-stride",
        f"{KERNELS}/operations.py",
        "crossentropy_backward(zero, code, a0, l0, a1, l1, a2, l2, a3, l3, rows, n, p, keep, add)",
        "crossentropy_backward(zero, code, a0, l0, a1, l1, a2, l3, a3, l2, rows, n, p, keep, add)",
        "targets are read with the row stride of the weights",
        "operations",
    ),
    fault(
        "numba-barrier",
        f"{KERNELS}/statistics.py",
        '''\
once all members have their rows of Z."""
    sync = integer_at(call, c.SYNC)
    barrier(sync, team)
''',
        '''\
once all members have their rows of Z."""
    sync = integer_at(call, c.SYNC)
''',
        "a thread takes the moments of a batch whose other rows are not there yet",
        "programs",
    ),
    fault(
        "numba-no-rows",
        f"{KERNELS}/network.py",
        "        block, base, crew, blocks = last - first, first, team, 1",
        "        block, base, crew, blocks = last - first, first, team, int(last > first)",
        "a thread without rows does not come to the barriers of a shared layer: the others wait for ever",
        "large_layers",
        "programs",
    ),
    fault(
        "numba-piece-lost",
        f"{KERNELS}/parameters.py",
        """\
                following = next_piece(sync)
            piece += 1
            left -= every
""",
        """\
                following = next_piece(sync)
            left -= every
""",
        "a bias is not counted among the pieces of a large model: what comes next is updated by nobody",
        "large_layers",
        "programs",
    ),
    fault(
        "numba-unlocked",
        f"{KERNELS}/__init__.py",
        """\
    @exclusive
    def forward(self, X: Array, out: Array) -> None:
""",
        """\
    def forward(self, X: Array, out: Array) -> None:
""",
        "predictions of one model in several threads share its buffers",
        "numba",
        "concurrency",
    ),
    fault(
        "numba-stale-data",
        f"{KERNELS}/__init__.py",
        "        if data is not self._data():\n",
        "        if self._data() is None:\n",
        "validation scores the training data while both are alive",
        "training",
    ),
    fault(
        "numba-order",
        f"{KERNELS}/rows.py",
        "            source = integer_at(order, source)\n",
        "            source = integer_at(order, row)\n",
        "every batch of a shuffled epoch has the rows of the first one",
        "programs",
    ),
    fault(
        "numba-last-weight",
        f"{KERNELS}/rows.py",
        "    scale(zero, scales, weights, rows, real(zero, factor))",
        "    scale(zero, scales, weights, max(rows - 1, 0), real(zero, factor))",
        "the last row of a thread has the sample weight of the step before",
        "programs",
    ),
    fault(
        "numba-bias-correction",
        f"{KERNELS}/parameters.py",
        "        adam_rate = rate * math.sqrt(1.0 - power_2) / (1.0 - power_1)",
        "        adam_rate = rate / (1.0 - power_1) * math.sqrt(1.0 - power_2)",
        "Adam's correction is rounded in another order: other bits in float64",
        "programs",
    ),
    fault(
        "numba-norm-last",
        f"{KERNELS}/parameters.py",
        "        number, count = 0, integer_at(call, c.PARAMETER_COUNT)",
        "        number, count = 0, integer_at(call, c.PARAMETER_COUNT) - 1",
        "the global norm of a gradient leaves out the last parameter",
        "programs",
    ),
    fault(
        "numba-moving-averages",
        f"{KERNELS}/rows.py",
        "            if kind == t.BATCH_NORM and training:",
        "            if kind == t.BATCH_NORM:",
        "predictions and scores move the averages of BatchNormalization",
        "steps",
        "programs",
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
        "numba",
        "operations",
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
        "fastnn/core/formulas.py",
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
        "fastnn/core/lowering.py",
        'in_place = saved == "output" and bool(self._instructions)',
        "in_place = bool(self._instructions)",
        "an activation overwrites the input that its slope reads, on every backend",
        "plan",
        "programs",
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
        """\
        temporary = _temporary(path)
        try:
            with open(temporary, "xb") as file:
""",
        """\
        temporary = path
        try:
            with open(temporary, "wb") as file:
""",
        "a crash while a model is saved leaves half a file",
        "saving",
        "kill",
    ),
    # backends
    fault(
        "backends-last-batch",
        "fastnn/backends/data.py",
        "return int(-(-self.X.shape[0] // self.batch_size))",
        "return int(self.X.shape[0] // self.batch_size)",
        "the last rows of an epoch, fewer than a batch, are left out",
        "training",
    ),
    fault(
        "backends-last-slice",
        "fastnn/backends/protocol.py",
        "        for start in range(0, X.shape[0], rows):",
        "        for start in range(0, X.shape[0] - rows + 1, rows):",
        "predictions by operations end before the last part of 256 rows",
        "programs",
    ),
    fault(
        "backends-key-formulas",
        "fastnn/backends/kept.py",
        '    "core/formulas.py",\n',
        "",
        "kernels on disk outlive a change of their formulas",
        "numba",
    ),
    fault(
        "backends-key-random",
        "fastnn/backends/kept.py",
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
        "bias_penalty=penalty(self.bias_regularizer if self.trains else None),",
        "bias_penalty=penalty(self.kernel_regularizer if self.trains else None),",
        "a bias has the penalty of its kernel",
        "clipping",
        "layers",
    ),
    fault(
        "optimizers-nesterov",
        "fastnn/optimizers/__init__.py",
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
        "fastnn/metrics/__init__.py",
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
        "fastnn/engine/training.py",
        "    return rows.part(0, cut), held if class_weight",
        "    return rows.part(0, cut + 1), held if class_weight",
        "the first row of the validation split is trained on, too",
        "training",
    ),
    fault(
        "engine-class-weight",
        "fastnn/engine/training.py",
        "    if sample_weight is None and class_weight is None:",
        "    if sample_weight is None:",
        "class_weight does nothing",
        "training",
    ),
    fault(
        "engine-steps-per-epoch",
        "fastnn/engine/training.py",
        "if steps_per_epoch is not None and steps_per_epoch != data.steps:",
        "if steps_per_epoch is not None and steps_per_epoch < data.steps:",
        "more steps than an epoch has are no error",
        "fit_arguments",
    ),
    fault(
        "engine-layer-numbers",
        "fastnn/engine/compiling.py",
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
        "        for entry in (Scalar.BETA_1_POWER, Scalar.BETA_2_POWER):",
        "        for entry in (Scalar.BETA_1_POWER,):",
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
        "if found != shape or DTYPES.get(code) not in dtypes:",
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
        "order[held : held + checked], order[held + checked :]",
        "order[held : held + checked], order[held:]",
        "`fastnn train` stops by rows that it trains on",
        "cli_data",
    ),
)

FAULTS = (*IN_C, *IN_NUMBA, *IN_PYTHON)


@dataclass(frozen=True)
class Result:
    """What the tests said of a fault; `by` is the first test that failed, "" where none did."""

    fault: Fault
    by: str
    hung: bool
    seconds: float

    @property
    def said(self) -> str:
        """The result in words."""
        return f"{self.by}{' (time-out)' if self.hung else ''}" if self.by else "nothing"


class Place:
    """A copy of HEAD and an environment in which it is installed, where faults are planted.

    Args:
        folder: where they are made. venv: an environment to copy; None to make one. suite: tests to run instead of
            those of HEAD. objects: where compiled C is kept by what it is made of.
    """

    def __init__(self, folder: Path, venv: Path | None, suite: Path | None, objects: Path) -> None:
        self.checkout, self.venv, self._objects = folder / "checkout", folder / "venv", objects
        self.cache, self._temporary = folder / "cache", folder / "tmp"
        self._broken: list[str] = []  # tests that fail without any fault, which only runs of all tests come to
        archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], stdout=subprocess.PIPE, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(self.checkout, filter="data")
        if suite is not None:
            shutil.rmtree(self.checkout / "tests")
            shutil.copytree(suite, self.checkout / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        self._python = self.venv / "bin" / "python"
        if venv is None:
            run([sys.executable, "-m", "venv", self.venv])
            self.python("-m", "pip", "install", "--quiet", ".[test]")
        else:
            shutil.copytree(venv, self.venv, symlinks=True)
        self._package = Path(self.python("-I", "-c", "import fastnn; print(fastnn.__path__[0])").strip())
        if not self._package.is_relative_to(self.venv):
            raise SystemExit(f"{venv}: fastnn is not installed there, but used from {self._package}")
        for path in (self.checkout / "fastnn").rglob("*.py"):
            installed = self._package / path.relative_to(self.checkout / "fastnn")
            if not installed.exists() or installed.read_bytes() != path.read_bytes():
                raise SystemExit(f"{venv}: {installed.relative_to(self.venv)} is not that of HEAD; install HEAD there")

    def python(self, *arguments: str | Path) -> str:
        """What the environment's Python prints, in the checkout."""
        return run([self._python, *arguments], self.checkout)

    @contextmanager
    def planted(self, fault: Fault) -> Iterator[None]:
        """The fault is in the checkout and in the installed package."""
        path = self.checkout / fault.file
        text = path.read_text(encoding="utf-8")
        (extension,) = (self._package / "backends" / "c").glob("_fastnn.*")
        right = extension.read_bytes()
        try:
            path.write_text(mutated(fault, text), encoding="utf-8")
            self._install(fault.file)
            if fault.file.startswith("csrc/") or fault.file in CONTRACT:
                replace(extension, self._compiled())
            yield
        finally:
            path.write_text(text, encoding="utf-8")
            self._install(fault.file)
            replace(extension, right)

    def _install(self, file: str) -> None:
        """Puts a file of the checkout, if it is one of the package's, where that is installed."""
        if not file.startswith("fastnn/"):
            return
        path = self._package / file.removeprefix("fastnn/")
        replace(path, (self.checkout / file).read_bytes())
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):  # which may be as old and as long as another
            compiled.unlink()

    def _compiled(self) -> bytes:
        """The extension of the sources as they are; what they do not change is not compiled again."""
        code = (
            "import json, pathlib, sys, sysconfig\n"
            "sys.path.insert(0, 'csrc')\n"
            "import build\n"
            "made = pathlib.Path(sys.argv[1])\n"
            "build.write(made)\n"
            "build.library.emit_c_code(str(made / '_fastnn.c'))\n"
            "print(json.dumps([build.FILES, build.FLAGS, sysconfig.get_path('include')]))"
        )
        with tempfile.TemporaryDirectory() as made:
            files, flags, include = json.loads(self.python("-c", code, made).splitlines()[-1])
            flags += ["-O1", "-fPIC", "-pthread", f"-I{self.checkout / 'csrc'}", f"-I{made}", f"-I{include}"]
            sources = [Path(made, "_fastnn.c"), *(self.checkout / "csrc" / f"{name}.c" for name in files)]
            with ThreadPoolExecutor(2) as pool:
                objects = list(pool.map(lambda source: self._object(source, flags), sources))
            library = Path(made, "extension.so")
            run([*COMPILER, "-shared", "-pthread", *objects, "-o", library])
            return library.read_bytes()

    def _object(self, source: Path, flags: list[str]) -> Path:
        text = run([*COMPILER, "-E", "-P", *flags, source])
        path = self._objects / f"{hashlib.sha256(text.encode()).hexdigest()}.o"
        if not path.exists():
            made = path.with_suffix(f".{os.getpid()}.{id(self)}.part")
            run([*COMPILER, "-c", *flags, source, "-o", made])
            os.replace(made, path)
        return path

    def test(self, tests: Sequence[str], *options: str) -> tuple[str, bool]:
        """The first test that fails, or "", and whether it hung."""
        told = ["-q", "-p", "no:cacheprovider", f"--timeout={TEST_LIMIT}", "--timeout-method=thread", *options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "FASTNN"))}
        environment |= {"NUMBA_CACHE_DIR": str(self.cache), "FASTNN_REQUIRE": "numba,c", "COLUMNS": "300"}
        environment |= {"TMPDIR": str(self._temporary), "PYTHONSAFEPATH": "1"}  # not the package of the checkout
        environment.pop("PYTHONPATH", None)
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir()
        start = time.perf_counter()
        with tempfile.TemporaryFile("w+") as log:
            child = subprocess.Popen(
                [self._python, "-m", "pytest", *told, *(f"tests/{name}" for name in tests)],
                cwd=self.checkout,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = child.wait(RUN_LIMIT)
            except subprocess.TimeoutExpired:
                return "no test", True
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)  # what it has started and left
                child.wait()
            log.seek(0)
            text = log.read()
        if code == 0:
            return "", False
        failed = re.search(r"^(?:FAILED|ERROR) (?:tests/)?(\S+?(?:\[.*?\])?)(?= - |$)", text, re.MULTILINE)
        if failed is None:
            print(text[-4000:])
            return f"pytest, which ended with status {code}", False
        return failed[1], "crashed while running" in text and time.perf_counter() - start > TEST_LIMIT

    def tried(self, fault: Fault) -> Result:
        """What the tests say of a fault: those that know the subject, then all."""
        start = time.perf_counter()
        by, hung = self._with(fault, self.there(fault.tests))
        while not by:
            by, hung = self._with(fault, [""], *(f"--deselect=tests/{test}" for test in self._broken))
            if not by:
                break
            if "::" in by and self.test([by])[0]:
                print(f"{by} fails without any fault and is left out", flush=True)
                self._broken.append(by)
                by = ""
        return Result(fault, by, hung, time.perf_counter() - start)

    def _with(self, fault: Fault, tests: Sequence[str], *options: str) -> tuple[str, bool]:
        """`test` with a fault planted, up to the first test that fails."""
        kept = self.cache.with_name("kept")
        if self.cache.exists():  # kernels without a fault, which those of Python need; others are compiled anew
            shutil.copytree(self.cache, kept)
        try:
            with self.planted(fault):
                return self.test(tests, "-x", *options) if tests else ("", False)
        finally:
            shutil.rmtree(self.cache, ignore_errors=True)
            if kept.exists():
                kept.rename(self.cache)

    def there(self, tests: Sequence[str]) -> list[str]:
        """Those of these files that the suite has."""
        return [name for name in tests if (self.checkout / "tests" / name).exists()]


def run(command: Sequence[str | Path], folder: Path | None = None) -> str:
    """What a command prints; ends everything if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def replace(path: Path, content: bytes) -> None:
    """Another file of this name: one that is mapped into a process must not change."""
    made = path.with_name(f"{path.name}.part")
    made.write_bytes(content)
    os.replace(made, path)


def mutated(fault: Fault, text: str) -> str:
    """The text with the fault in it.

    Raises:
        ValueError: it does not fit. SyntaxError: what it makes is no Python.
    """
    found = text.count(fault.before)
    if found != 1 or fault.before == fault.after:
        raise ValueError(f"{fault.name}: its text occurs {found} times in {fault.file}, expected once")
    made = text.replace(fault.before, fault.after)
    if fault.file.endswith(".py"):
        ast.parse(made, fault.file)
    return made


def table(results: Sequence[Result]) -> str:
    """The report."""
    caught, hung = sum(bool(result.by) for result in results), sum(result.hung for result in results)
    lines = [
        "# Planted faults",
        "",
        "Made by `python tests/scripts/mutants.py --report FILE`, which says what this is. "
        f"Of {len(results)} faults the tests caught {caught}, {hung} of them by time-out.",
        "",
        "| fault | file | what goes wrong | caught by | seconds |",
        "| --- | --- | --- | --- | ---: |",
    ]
    for result in results:
        fault, by = result.fault, result.said.replace("|", "\\|")
        by = f"`{by}`" if result.by else f"**{by}**"
        lines.append(f"| {fault.name} | `{fault.file}` | {fault.why} | {by} | {result.seconds:.0f} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Runs the faults that are asked for; 0 if every one was caught."""
    parser = argparse.ArgumentParser(description="Plants faults and runs the tests against each.")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[fault.name for fault in FAULTS])
    parser.add_argument("--list", action="store_true", help="name the faults, and see whether they fit HEAD's files")
    parser.add_argument("--suite", type=Path, metavar="DIR", help="the tests folder of another checkout")
    parser.add_argument("--venv", type=Path, metavar="DIR", help="an environment in which HEAD is installed")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="faults at a time; each has two workers")
    parser.add_argument("--report", type=Path, metavar="FILE", help="where the table goes, as Markdown")
    args = parser.parse_args()
    chosen = [fault for fault in FAULTS if args.only is None or fault.name in args.only]
    wrong = []
    for fault in chosen:
        if args.list:
            print(f"{fault.name:24} {fault.file:44} {fault.why}")
        try:
            mutated(fault, run(["git", "-C", ROOT, "show", f"HEAD:{fault.file}"]))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise SystemExit("\n".join(wrong))
    if args.list:
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing is left behind
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        objects = Path(folder, "objects")
        objects.mkdir()
        first = Place(Path(folder, "0"), args.venv, args.suite, objects)
        others = [Place(Path(folder, str(n)), first.venv, args.suite, objects) for n in range(1, args.jobs)]
        files = sorted({name for fault in chosen for name in fault.tests})
        print("without a fault:", *first.there(files), flush=True)
        by, _ = first.test(first.there(files))
        if by:
            raise SystemExit(f"{by} fails without any fault")
        places: SimpleQueue[Place] = SimpleQueue()
        places.put(first)
        for place in others:
            if first.cache.exists():
                shutil.copytree(first.cache, place.cache)
            places.put(place)

        def tried(fault: Fault) -> Result:
            place = places.get()
            try:
                return place.tried(fault)
            finally:
                places.put(place)

        results: list[Result] = []
        with ThreadPoolExecutor(args.jobs) as pool:
            for result in map(tried, chosen) if args.jobs == 1 else pool.map(tried, chosen):
                results.append(result)
                print(f"{result.fault.name}: {result.said}, {result.seconds:.0f} s", flush=True)
                if args.report is not None:
                    args.report.write_text(table(results), encoding="utf-8")
    return 0 if all(result.by for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
