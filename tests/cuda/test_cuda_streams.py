"""What goes on side by side: pieces of the data on their way to the card, states on their way home, the blocks of a
grid; and a lost card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cuda.core", reason="without the extra cuda13")

from fastnn.backends.cuda import residents
from fastnn.backends.cuda.device import Card, card
from fastnn.core.plan import Counter
from fastnn.core.random import permutation
from nets import blobs, classifier
from plans import ENDS
from support import child, load

PROGRAMS = str(Path(__file__).with_name("planted_programs.py"))


@pytest.fixture(autouse=True)
def _card() -> None:
    load("cuda")


def needs_emulation() -> None:
    """Skips a test whose card must fail by order, or look for what nothing orders."""
    if not card().emulated:
        pytest.skip("a card that is one does neither")


PLANTED = {
    ("pieces", "none"): "right",
    ("pieces", "steps before the copy"): r"race|uninitialised",
    ("pieces", "copy before the steps"): "race",
    ("pieces", "the host does not wait"): "wrong bits",
    ("epochs", "none"): "right",
    ("epochs", "steps before the copy"): "race",
    ("epochs", "home before the snapshot"): r"race|uninitialised",
    ("epochs", "the host does not wait"): "wrong bits",
    ("grid", "none"): "right",
    ("grid", "the wait is relaxed"): "race",
    ("grid", "the count is relaxed"): "race",
    ("grid", "the count is of the block"): "race",
    ("grid", "the count is not 0"): "race",
    ("grid", "blocks are not together"): "not co-resident",
    ("grid", "more blocks than are resident"): "exceeds the limit",  # cuda.core asks the driver first
}


@pytest.mark.parametrize(("what", "fault"), PLANTED)
def test_each_wait_is_needed(what: str, fault: str) -> None:
    """Without one of them the emulated card finds a race, or bits are wrong; with all of them neither."""
    needs_emulation()
    run = child(PROGRAMS, what, fault)
    said = run.stdout + run.stderr
    assert (run.returncode == 0) == (fault == "none"), said
    assert any(word in said for word in PLANTED[what, fault].split("|")), said


def test_the_next_piece_is_sent_while_steps_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the host waits for the totals of the steps that were started."""
    done: list[str] = []

    def told(name: str) -> None:
        before = getattr(Card, name)

        def call(self: Card, *arguments: Any) -> Any:
            done.append(name)
            return before(self, *arguments)

        monkeypatch.setattr(Card, name, call)

    monkeypatch.setattr(residents, "SHARE", 0.0)
    monkeypatch.setattr(residents, "PIECE_BYTES", 1)
    X, y = blobs()
    model = classifier("cuda")
    model.fit(X, y, epochs=1, batch_size=20, verbose=0)
    for name in ("send", "get", "launch", "replay"):
        told(name)
    model.fit(X, y, epochs=1, batch_size=20, shuffle=False, verbose=0)
    steps = "".join({"send": "s", "get": "|"}.get(name, ".") for name in done)
    parts = [part.strip(".") for part in steps.split("|")]
    assert ["s" in part for part in parts[:3]] == [True, True, False], steps  # all but the last piece of three
    assert parts[0].startswith("ss") and parts[0].endswith("ss"), steps  # the first one, its steps, the second


def test_training_and_validation_data_stay_on_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    before = residents.Residents

    def counted(*arguments: Any) -> Any:
        made.append(1)
        return before(*arguments)

    monkeypatch.setattr("fastnn.backends.cuda.program.Residents", counted)
    X, y = blobs()
    found = []
    for backend in ("cuda", "reference"):
        model = classifier(backend)
        weights = np.linspace(0.5, 2.0, 40)
        history = model.fit(
            X[:40], y[:40], epochs=3, batch_size=16, sample_weight=weights, validation_data=(X[40:], y[40:]), verbose=0
        )
        found.append((history.history["loss"], history.history["val_loss"]))
    assert found[0] == found[1]
    assert len(made) == 2


LOST = """
import os, sys
import fastnn
from fastnn.errors import BackendError
from nets import blobs, classifier
X, y = blobs()
class Breaks(fastnn.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 3:
            os.environ["EMULATED_FAIL"] = "lost_device:1"
model, right = classifier("cuda"), classifier("reference")
try:
    model.fit(X, y, epochs=9, batch_size=16, verbose=0, callbacks=[Breaks()])
except BackendError as error:
    print(error)
epochs = int(sys.argv[1])
right.fit(X, y, epochs=epochs, batch_size=16, verbose=0)
states = [one.trainable_engine(X).state for one in (model, right)]
for (slots, scalars, counters), theta in zip((state.vectors() for state in states), (state.theta for state in states)):
    print(theta.tobytes().hex(), [slot.tobytes().hex() for slot in slots], scalars.tolist(), int(counters[0]))
for one in (model, right):
    one.compile("sgd", "sparse_categorical_crossentropy", backend="reference")
    one.fit(X, y, epochs=1, batch_size=16, shuffle=False, verbose=0)
    print(one.get_weights())
"""


@pytest.mark.parametrize(("streams", "epochs"), [("late", 2), ("early", 3)])
def test_a_lost_card_leaves_the_last_epoch_that_came_home(streams: str, epochs: int) -> None:
    """Lost after three epochs, the last of which may be on its way still. The error says which; theta, slots, products
    and the step are of one time, and another backend goes on from there."""
    needs_emulation()
    run = child("-c", LOST, str(epochs), EMULATED_STREAMS=streams)
    assert run.returncode == 0, run.stdout + run.stderr
    error, rest = run.stdout.split("\n", 1)
    assert "the card is lost to this process" in error
    assert error.endswith(f"the weights are those after step {4 * epochs}")
    lines = rest.splitlines()
    assert lines[0] == lines[1]
    after = lines[2:]
    assert after[: len(after) // 2] == after[len(after) // 2 :]


def test_an_order_is_that_of_every_backend() -> None:
    """By the C library where it was built."""
    model = ENDS["special classes"]
    plan = model.plan("float32")
    state = model.state(plan)
    order = np.arange(1000, dtype=np.int64)
    load("cuda").program(plan, state).shuffle(order)
    np.testing.assert_array_equal(
        order, permutation(int(state.counters[Counter.SEED]), int(state.counters[Counter.EPOCH]), 1000)
    )
