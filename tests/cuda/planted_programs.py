"""Programs of the backend, which tests start with a fault planted: planted_programs.py pieces|epochs|grid FAULT."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.backends.cuda import calls, library, residents
from fastnn.backends.cuda.device import Card, card, config, resident
from fastnn.backends.data import Data
from fastnn.layers import Dense
from nets import blobs, classifier, net

ROWS, BATCH, WIDTH, STEPS = 90, 8, 5, 2  # a piece has two steps, of which the last is short


def after_but(stream: str) -> Callable[..., None]:
    """`Card.after` without the waits of a stream."""
    before = Card.after

    def after(self: Card, waits: Any, event: Any) -> None:
        if waits is not getattr(self, stream):
            before(self, waits, event)

    return after


def nothing(*_: object) -> None:
    """Instead of a wait."""


def written(old: str, new: str) -> Callable[[], None]:
    """Other PTX of the kernel of a grid."""

    def plant() -> None:
        before = library.ptx

        def ptx(name: str, dtype: str, arch: str) -> str:
            text = before(name, dtype, arch)
            if name.startswith("grid_steps"):
                assert old in text
                text = text.replace(old, new)
            return text

        library.ptx = ptx

    return plant


def alone(*arguments: Any, together: bool = False) -> Any:
    """A config of a launch that is not cooperative."""
    return config(*arguments)


FAULTS: dict[str, Callable[[], None]] = {
    "none": nothing,
    "steps before the copy": lambda: setattr(Card, "after", after_but("stream")),
    "copy before the steps": lambda: setattr(Card, "after", after_but("incoming")),
    "home before the snapshot": lambda: setattr(Card, "after", after_but("outgoing")),
    "the host does not wait": lambda: setattr(Card, "wait", nothing),
    "the wait is relaxed": written("ld.acquire.gpu", "ld.relaxed.gpu"),
    "the count is relaxed": written("atom.acq_rel.gpu", "atom.relaxed.gpu"),
    "the count is of the block": written("atom.acq_rel.gpu", "atom.acq_rel.cta"),
    "the count is not 0": lambda: setattr(Card, "zero", nothing),
    "blocks are not together": lambda: setattr(calls, "config", alone),
    "more blocks than are resident": lambda: setattr(calls, "resident", lambda *given: 2 * resident(*given)),
}


def pieces() -> None:
    """Three pieces' places of rows in another order, read by copies on the card; the host never waits between."""
    residents.SHARE = 0.0
    residents.PIECE_BYTES = STEPS * BATCH * (WIDTH + 1) * 4
    random = np.random.default_rng(1)
    X, y = random.standard_normal((ROWS, WIDTH)), np.arange(ROWS)[:, None]
    data = Data((X,), (y,), (), random.permutation(ROWS), BATCH)
    found, size = residents.Residents(card(), np.dtype(np.float32), data), WIDTH * 4
    assert found.steps == STEPS
    out = card().allocate(ROWS * size)
    for first in range(0, data.steps, STEPS):
        firsts = found.take(data, first, min(first + STEPS, data.steps))
        assert firsts == [BATCH * step for step in range(len(firsts))]
        start = first * BATCH
        (address, _), _ = found.lies[0]  # type: ignore[misc]
        card().copy(out.address + start * size, address, (min(start + STEPS * BATCH, ROWS) - start) * size)
        found.started(data)
    got = np.empty((ROWS, WIDTH), np.float32)
    card().get(got, out.address)
    same(got, X[data.order].astype(np.float32))


def epochs() -> None:
    """What comes home after each epoch, beside the next."""
    X, y = blobs()
    model, other = classifier("cuda"), classifier("reference")
    for one in (model, other):
        one.fit(X, y, epochs=3, batch_size=16, verbose=0)
    for got, expected in zip(model.get_weights(), other.get_weights(), strict=True):
        same(got, expected)


def grid() -> None:
    """Steps of a network that the shared memory of a block does not hold, by the blocks of a grid."""
    card().shared_bytes = 0
    X, y = blobs(32, features=64)
    models = [net(Dense(40, "tanh"), Dense(3), backend=backend, features=64) for backend in ("cuda", "reference")]
    for model in models:
        model.fit(X, np.eye(3)[y], epochs=2, batch_size=16, verbose=0)
    for got, expected in zip(*(model.get_weights() for model in models), strict=True):
        same(got, expected)


def same(got: Any, expected: Any) -> None:
    """Ends the program where bits differ."""
    if got.tobytes() != expected.tobytes():
        sys.exit("wrong bits")


if __name__ == "__main__":
    FAULTS[sys.argv[2]]()
    {"pieces": pieces, "epochs": epochs, "grid": grid}[sys.argv[1]]()
    print("right")
