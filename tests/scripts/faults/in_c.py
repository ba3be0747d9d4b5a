"""The faults in C."""

from __future__ import annotations

from .fault import fault

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
