"""The backend as models use it: where weights are, what others see of them, and what is said where there is no card."""

from __future__ import annotations

import copy
import os
import pickle
import sys

import numpy as np
import pytest

pytest.importorskip("cuda.core", reason="without the extra cuda13")

import fastnn
from fastnn import layers
from fastnn.backends.cuda import cubins, library
from fastnn.backends.cuda.device import card
from fastnn.errors import BackendError
from nets import blobs, classifier
from support import assert_same_bits, child, load


@pytest.fixture(autouse=True)
def _card() -> None:
    load("cuda")


def weights(model: fastnn.Sequential) -> np.ndarray:
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def trained(backend: str) -> tuple[fastnn.Sequential, list[float]]:
    X, y = blobs()
    model = classifier(backend)
    history = model.fit(X, y, epochs=3, batch_size=16, validation_split=0.2, verbose=0)
    return model, [*history.history["loss"], *history.history["val_loss"]]


def test_fit_has_the_bits_of_another_backend() -> None:
    (model, losses), (other, expected) = trained("cuda"), trained("reference")
    assert losses == expected
    assert_same_bits(weights(model), weights(other), "weights")
    X, _ = blobs()
    assert_same_bits(model.predict(X, verbose=0), other.predict(X, verbose=0), "predictions")


def test_weights_that_are_set_between_trainings_count() -> None:
    X, y = blobs()
    found = []
    for backend in ("cuda", "reference"):
        model = classifier(backend)
        model.fit(X, y, epochs=1, verbose=0)
        model.set_weights([0.5 * weight for weight in model.get_weights()])
        model.fit(X, y, epochs=1, verbose=0)
        model.layers[0].set_weights([weight + 0.25 for weight in model.layers[0].get_weights()])
        found.append((model.predict(X, verbose=0), weights(model)))
    for got, expected in zip(*found, strict=True):
        assert_same_bits(got, expected, "after weights were set")


def test_callbacks_see_the_weights_of_their_step() -> None:
    class Looks(fastnn.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[np.ndarray] = []

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            self.seen.append(self.model.get_weights()[0].copy())

    X, y = blobs()
    looked = []
    for backend in ("cuda", "reference"):
        callback = Looks()
        classifier(backend).fit(X, y, epochs=1, batch_size=16, callbacks=[callback], verbose=0)
        looked.append(callback.seen)
    for got, expected in zip(*looked, strict=True):
        assert_same_bits(got, expected, "in a callback")


def test_models_of_two_backends_share_layers() -> None:
    """What one trains on the card, the other goes on with at home, and back."""
    X, y = blobs()
    found = []
    for first, second in (("cuda", "reference"), ("reference", "reference")):
        fastnn.config.set_seed(3)
        shared = layers.Dense(8, "tanh")
        models = [fastnn.Sequential([fastnn.Input((4,)), shared, layers.Dense(3, "softmax")]) for _ in (first, second)]
        for model, backend in zip(models, (first, second), strict=True):
            model.compile("adam", "sparse_categorical_crossentropy", backend=load(backend))
        for _ in range(2):
            for model in models:
                model.fit(X, y, epochs=1, verbose=0, shuffle=False)
        found.append(weights(models[0]))
    assert_same_bits(found[0], found[1], "shared weights")


def test_a_copy_and_a_pickle_hold_what_was_trained() -> None:
    model, _ = trained("cuda")
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_bits(weights(other), weights(model), "a copy")


def test_an_optimizer_goes_on_after_its_state_was_saved(tmp_path: os.PathLike[str]) -> None:
    X, y = blobs()
    found = []
    for backend in ("cuda", "reference"):
        model = classifier(backend)
        model.fit(X, y, epochs=1, verbose=0)
        path = f"{os.fspath(tmp_path)}/{backend}.safetensors"
        model.save(path)
        again = fastnn.load_model(path)
        again.compile("adam", "sparse_categorical_crossentropy", backend=load(backend))
        model.fit(X, y, epochs=1, verbose=0)
        found.append(weights(model))
        assert again.count_params() == model.count_params()
    assert_same_bits(found[0], found[1], "after saving")


def test_cubins_that_were_carried_are_found_first(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNN_CUDA_CUBINS", str(tmp_path))
    assert cubins.write("any.cubin", "sm_90", b"code", cubins.carried())
    assert cubins.read("any.cubin", "sm_90") == b"code"
    assert cubins.count("sm_90") >= 1
    path = cubins.carried() / cubins.key() / "sm_90" / "any.cubin"  # type: ignore[operator]
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert cubins.read("any.cubin", "sm_90") is None  # damaged


def test_warmup_makes_machine_code_for_a_card_that_is_elsewhere(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fastnn.backends.cuda.compiler", exc_type=ImportError)
    from fastnn.backends.cuda import sources
    from fastnn.cli import main

    monkeypatch.setenv("FASTNN_CUDA_CUBINS", str(tmp_path))
    monkeypatch.setattr(sources, "names", lambda dtype: ["relu_forward", "advance"])
    assert main(["warmup", "--cuda", "sm_80"]) == 0
    assert capsys.readouterr().out.startswith("2 kernels for sm_80, ")
    assert (cubins.read("fnn_relu_forward_float32.cubin", "sm_80") or b"").startswith(b"\x7fELF")
    assert main(["warmup", "--cuda", "hopper"]) != 0
    assert "expected a card's architecture such as sm_90" in capsys.readouterr().err


def test_without_a_compiler_and_without_cubins_both_cures_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cubins, "read", lambda *_: None)
    monkeypatch.delattr("fastnn.backends.cuda.compiler", raising=False)
    monkeypatch.setitem(sys.modules, "fastnn.backends.cuda.compiler", None)
    monkeypatch.setattr(cubins, "count", lambda *_: 0)
    with pytest.raises(BackendError, match=r'no kernels for sm_90.*".\[cuda13\]".*warmup --cuda sm_90'):
        library.ptx("relu_forward", "float32", "sm_90")
    monkeypatch.setattr(cubins, "count", lambda *_: 3)
    with pytest.raises(BackendError, match="among the 3 kernels for sm_90"):
        library.ptx("relu_forward", "float32", "sm_90")


def reason(**environment: str) -> str:
    """Why there is no card in a process with another environment."""
    run = child("-c", "import fastnn; print(fastnn.backends.available()['cuda'])", **environment)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_no_driver() -> None:
    found = reason(LD_LIBRARY_PATH="")
    assert found == "no NVIDIA driver: libcuda.so.1 is not found; install driver 580 or later"


@pytest.mark.parametrize(
    ("failure", "said"),
    {
        "no_device": "the driver finds no NVIDIA card; look at nvidia-smi and CUDA_VISIBLE_DEVICES",
        "no_devices": "the driver finds no NVIDIA card; look at nvidia-smi and CUDA_VISIBLE_DEVICES",
        "driver_too_old": "is too old: it knows CUDA 12.2, expected 13.0; install driver 580 or later",
        "card_too_old": "has compute capability 5.0, expected 7.5 or later; use another card or another backend",
    }.items(),
)
def test_each_reason_names_its_cure(failure: str, said: str) -> None:
    needs_emulation()
    assert reason(EMULATED_FAIL=failure).endswith(said)


def needs_emulation() -> None:
    """Skips a test whose card must fail by order."""
    if not card().emulated:
        pytest.skip("a card that is one does not fail by order")


def test_what_does_not_fit_says_so() -> None:
    with pytest.raises(BackendError, match=r"the card has no \d+ MB more; use a smaller batch"):
        card().allocate(2**50)
