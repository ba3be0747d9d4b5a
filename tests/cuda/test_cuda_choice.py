"""When `auto` takes a card: where `fastnn warmup` measured it faster, and never the emulated one. No time is taken
here: speeds are hand-made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cuda.core", reason="without the extra cuda13")

import fastnn
from fastnn import backends
from fastnn.backends import card_speeds
from fastnn.backends.card_speeds import Measured, flops_of
from fastnn.backends.compiled import CompiledProgram
from fastnn.backends.cuda.device import card
from fastnn.cli import cards, main
from fastnn.errors import FastnnError
from nets import blobs, classifier
from support import assert_same_bits, load

BATCH = 16


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A card, and a cache of speeds that is empty."""
    load("cuda")
    load("c")
    monkeypatch.setattr(card_speeds, "_folder", lambda: tmp_path)
    card_speeds.read.cache_clear()
    yield
    card_speeds.read.cache_clear()


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card, as one that may be timed."""
    monkeypatch.setattr(card(), "emulated", False)
    monkeypatch.setattr(card(), "name", "NVIDIA H200")


def keep(speed: float, name: str = "NVIDIA H200", driver: str = "", parameters: int = 1) -> None:
    """A speed of networks of so many parameters or more."""
    driver = driver or card_speeds.dotted(card().driver)
    assert card_speeds.write(Measured(name, driver, 1.0, {"float32": [(flops_of(parameters, BATCH), speed)]}))


def test_the_emulated_card_is_never_taken_nor_timed(capsys: pytest.CaptureFixture[str]) -> None:
    if not card().emulated:
        pytest.skip("it is a card")
    for name in ("NVIDIA H200", card().name):
        keep(9.0, name)
        assert backends.choice("float32", 100, batch=BATCH).name != "cuda"
    assert main(["info"]) == 0
    assert "auto never takes it: the card is emulated" in capsys.readouterr().out
    with pytest.raises(FastnnError, match="cannot be measured: the card is emulated"):
        cards.run(["float32"], *stand_ins())


def test_the_card_is_taken_by_size(real: None, capsys: pytest.CaptureFixture[str]) -> None:
    keep(5.0, parameters=100)
    assert backends.choice("float32", 100, batch=BATCH) == (
        "cuda",
        "it trains 5.00 times as fast as c here; c until a training has taken 1.2 s",
    )
    for dtype, parameters, batch in (("float32", 99, BATCH), ("float32", 100, BATCH - 1), ("float64", 100, BATCH)):
        assert backends.choice(dtype, parameters, batch=batch).name != "cuda"
    assert backends.choice("float32", 100).name != "cuda"  # its batch is not known
    assert main(["info"]) == 0
    assert "measured faster than c, by the flops of a step: float32 5.0 times at 9.6e+03" in capsys.readouterr().out
    keep(1.0 + backends.LOADING)
    assert backends.choice("float32", 100, batch=BATCH).name != "cuda"


def test_another_card_or_driver_was_measured(real: None, capsys: pytest.CaptureFixture[str]) -> None:
    for given in ({"name": "NVIDIA A100"}, {"driver": "12.9"}):
        keep(9.0, **given)  # type: ignore[arg-type]
        assert backends.choice("float32", 100, batch=BATCH).name != "cuda"
    assert main(["info"]) == 0
    assert "was measured; run `fastnn warmup` anew" in capsys.readouterr().out


def stand_ins() -> tuple[Callable[..., Callable[[], object]], Callable[..., float], Callable[[], float]]:
    """An epoch that does nothing, and times that are larger for each network."""
    ran: list[str] = []

    def epoch(backend: str, *_: object) -> Callable[[], object]:
        return lambda: ran.append(backend)

    return epoch, lambda *_: len(ran) / 4.0, lambda: 2.0


def test_warmup_keeps_what_it_measures(real: None) -> None:
    """By a stand-in for the timer: a network's speed is half its number."""
    lines = cards.run(["float32"], *stand_ins())
    assert lines[0] == "float32, 64-32-10 by 32: cuda trains 0.50 times as fast as c"
    measured = card_speeds.read()
    assert measured is not None and measured.card == "NVIDIA H200" and measured.loading == 2.0
    assert [speed for _, speed in measured.speeds["float32"]] == [0.5, 1.0, 1.5, 2.0, 2.5]
    flops = [size for size, _ in measured.speeds["float32"]]
    assert flops == sorted(flops) and flops[0] == flops_of(64 * 32 + 32 + 32 * 10 + 10, 32)
    cards.run(["float64"], *stand_ins())
    both = card_speeds.read()
    assert both is not None and set(both.speeds) == {"float32", "float64"}


def test_a_long_training_changes_over_to_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """In mid-training, and no bit of it changes."""
    monkeypatch.setattr(backends, "why_not_card", lambda measured: "")
    monkeypatch.setattr(CompiledProgram, "seconds", 0.0)
    keep(9.0)
    X, y = blobs()

    class Watch(fastnn.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            seen.append(self.model.backend)
            if epoch == 1:
                CompiledProgram.seconds = 2.0  # as if it had taken so long

    seen: list[str] = []
    models = [classifier("reference"), classifier("reference")]
    for model, backend in zip(models, ("auto", "c"), strict=True):
        model.compile("adam", "sparse_categorical_crossentropy", backend=backend)
        callbacks = [Watch()] if backend == "auto" else []
        model.fit(X, y, epochs=4, batch_size=BATCH, callbacks=callbacks, verbose=0)
    assert seen == ["c", "c", "cuda", "cuda"]
    weights = [np.concatenate([weight.ravel() for weight in model.get_weights()]) for model in models]
    assert_same_bits(weights[0], weights[1], "weights")
