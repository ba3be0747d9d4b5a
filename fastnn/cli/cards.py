"""What `fastnn warmup` measures of a card, and what `fastnn info` says of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from .. import backends
from ..backends import card_speeds
from ..core.printing import say
from ..errors import FastnnError

# Units from the inputs to the classes, and the batch: from what a core trains in microseconds on.
NETWORKS = (
    ((64, 32, 10), 32),
    ((784, 128, 10), 64),
    ((784, 256, 128, 10), 128),
    ((784, 1024, 1024, 10), 256),
    ((1024, 4096, 4096, 16), 512),
)

Units = tuple[int, ...]
Epoch = Callable[[], object]

_START = """
import sys, numpy as np, fastnn
model = fastnn.Sequential([fastnn.Input((64,)), fastnn.layers.Dense(10, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy", backend=sys.argv[1])
model.fit(np.zeros((64, 64), "float32"), np.zeros(64, "int64"), verbose=0)
"""


def why_not_timed() -> str:
    """Why no card can be measured here; "" where one can."""
    reason = backends.available()["cuda"]
    if reason:
        return reason
    from ..backends.cuda.device import card

    return "the card is emulated, and its time says nothing of a card's" if card().emulated else ""


def run(
    dtypes: Sequence[str],
    epoch: Callable[[str, str, Units, int], Epoch],
    speed: Callable[[Epoch, Epoch], float],
    loading: Callable[[], float] | None = None,
) -> list[str]:
    """Measures networks of several sizes on the card beside C, and keeps the speeds; gives lines that say them.

    Args:
        epoch: of a backend, a dtype, units and a batch: trains. speed: how many times as fast the second trains as the
            first. loading: the seconds that a process starts later with the card; None: two processes are timed.

    Raises:
        FastnnError: the card cannot be timed.
    """
    why = why_not_timed()
    if why:
        raise FastnnError(f'"cuda" cannot be measured: {why}')
    from ..backends.cuda.device import card

    found = card()
    measured: dict[str, list[tuple[float, float]]] = {}
    lines = []
    for dtype in dtypes:
        for units, batch in NETWORKS:
            both = [epoch(backend, dtype, units, batch) for backend in ("c", "cuda")]
            for one in both:
                one()  # what is made once
            times = speed(*both)
            parameters = sum((before + 1) * after for before, after in pairwise(units))
            measured.setdefault(dtype, []).append((card_speeds.flops_of(parameters, batch), times))
            lines.append(f"{dtype}, {'-'.join(map(str, units))} by {batch}: cuda trains {times:.2f} times as fast as c")
    seconds = (loading or _loading)()
    kept = card_speeds.read()
    speeds = (dict(kept.speeds) if kept is not None and not backends.why_not_card(kept) else {}) | measured
    path = card_speeds.write(card_speeds.Measured(found.name, card_speeds.dotted(found.driver), seconds, speeds))
    if path is None:
        say("fastnn warmup: the card's speeds cannot be kept; there is no folder that can be written", "stderr")
    return lines


def _loading() -> float:
    """The seconds that a process takes longer to train with the card than with C; at least one hundredth."""
    seconds = []
    for backend in ("c", "cuda"):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", _START, backend], check=True)
        seconds.append(time.perf_counter() - begun)
    return max(0.01, seconds[1] - seconds[0])


def explained() -> str:
    """Where `auto` takes the card that is in this machine, and why."""
    measured = card_speeds.read()
    if measured is None:
        return "auto never takes it" + (
            ", as it is emulated" if why_not_timed() else " before `fastnn warmup` has measured it"
        )
    why = backends.why_not_card(measured)
    if why:
        return f"auto never takes it: {why}"
    found = []
    for dtype, pairs in measured.speeds.items():
        faster = [f"{speed:.1f} times at {flops:.1e}" for flops, speed in pairs if speed > 1.0 + backends.LOADING]
        found.append(f"{dtype} {', '.join(faster) or 'nowhere'}")
    return "auto takes it in long trainings where it was measured faster than c, by the flops of a step: " + "; ".join(
        found
    )
