/* What a team's threads run: a program of network.c, or a scan of data. */
#ifndef FNN_LEVEL

#include "internal.h"
#define FNN_FILE "worker.c"
#include "levels.h"

#else

/* Each member leaves the first bad flat index of its rows in indices[member]. */
KERNEL void FN(scan)(void *context, fnn_sync *sync, int64_t member, int64_t team)
{
    const fnn_scan *scan = context;
    int64_t first, last;
    (void)sync;
    fnn_share(scan->rows, 1, member, team, &first, &last);
    /* Rows without gaps are one. */
    const bool whole = scan->row_bytes == scan->columns * (int64_t)sizeof(real);
    const int64_t rows = whole ? last - first : 1;
    for (int64_t row = first; row < last; row += rows) {
        const char *x = scan->x + row * scan->row_bytes;
        const int64_t place = FN(find_nonfinite)(x, rows * scan->columns, (real)scan->largest);
        if (place >= 0) {
            scan->indices[member] = row * scan->columns + place;
            return;
        }
    }
}

/* What `mode` says, as a thread of a team. */
KERNEL void FN(work)(void *context, fnn_sync *sync, int64_t member, int64_t team)
{
    const fnn_run *run = context;
    const fnn_member m = {
        .run = run, .program = run->program, .data = run->data, .sync = sync, .index = member, .team = team,
        .scratch = FN(scratch)(run->program, member), .laps = fnn_start_laps(run->program, member),
    };
    const int64_t begun = m.laps != NULL ? m.laps[FNN_PHASE_SINCE] : 0;
    if (run->mode == FNN_MODE_UPDATE) {
        FN(update)(&m);
    } else if (run->mode == FNN_MODE_FORWARD) {
        FN(predict)(&m);
    } else {
        const int64_t taken = FN(steps)(&m, run->mode != FNN_MODE_SCORE, run->mode == FNN_MODE_STEPS);
        if (member == 0 && run->taken != NULL) {
            *run->taken = taken;
        }
    }
    if (m.laps != NULL) {
        m.laps[FNN_PHASE_WHOLE] += fnn_cycles() - begun;
    }
}

#endif
