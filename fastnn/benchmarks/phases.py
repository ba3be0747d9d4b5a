"""Where the time of a training step goes: the phases of the production programs, by the cycles that they count."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from . import models
from .processes import Found
from .training import USUAL, compiled

SHARE = 10  # of the seconds that one stretch without or with counting takes


def measure(job: Found) -> Found:
    """Seconds of a step: `plain` without counting, `counted` with it, by the wall; `phases` by the cycles of the
    first thread, `threads` that the last steps had.

    Raises:
        ValueError: a backend that is not compiled.
    """
    import fastnn

    from ..backends.compiled import CompiledProgram
    from ..backends.data import Data
    from ..core.plan import Phase

    job = USUAL | job
    X, y = models.data(job)
    model = compiled(fastnn, job, backend=job["backend"])
    engine = model.trainable_engine(X)
    targets = np.asarray(models.targets(job, y)).reshape(len(X), -1)
    order = np.random.default_rng(0).permutation(len(X))
    data = Data((X,), (targets,), (), order, job["batch"])
    program, sums = engine.program, engine.scores.sums()
    if not isinstance(program, CompiledProgram):
        raise ValueError(f"only compiled backends count the cycles of their phases, {job['backend']} is none")
    program.run_steps(data, 0, data.steps, sums)

    def stretch() -> tuple[float, int]:
        """Seconds inside of the program, and steps."""
        begun, seconds, steps = time.perf_counter(), 0.0, 0
        while not steps or time.perf_counter() - begun < job["seconds"] / SHARE:
            start = time.perf_counter()
            steps += program.run_steps(data, 0, data.steps, sums)
            seconds += time.perf_counter() - start
        return seconds, steps

    laps = program.count_phases()
    program.run_steps(data, 0, 1, sums)
    began, since = time.perf_counter(), int(laps[0, Phase.SINCE])
    laps[:, : Phase.SINCE] = 0
    plain, counted, steps_counted = [], 0.0, 0
    for _ in range(SHARE // 2):
        program.count_phases(False)
        seconds, steps = stretch()
        plain.append(seconds / steps)
        program.count_phases()
        seconds, steps = stretch()
        counted, steps_counted = counted + seconds, steps_counted + steps
    rate = (int(laps[0, Phase.SINCE]) - since) / (time.perf_counter() - began)
    # Of the first thread, which has a part in every step; how many others have, the machine's load decides.
    parts = laps[0, : Phase.SINCE] / rate / steps_counted
    names = [phase.name.lower() for phase in Phase if phase < Phase.SINCE]
    phases: dict[str, Any] = dict(zip(names, parts.tolist(), strict=True))
    times = {"plain": float(np.median(plain)), "counted": counted / steps_counted, "threads": program.threads}
    return times | {"phases": phases, "version": models.version(job["library"])}
