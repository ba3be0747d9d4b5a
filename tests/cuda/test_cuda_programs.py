"""Programs on the card, a real one or the emulated one: the bits of C, for every plan that a test has."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cuda.core", reason="without the extra cuda13")

import golden_nets
import test_graph_programs as graphs
from fastnn.backends.cuda import program, residents
from fastnn.backends.cuda.chains import chain
from fastnn.backends.cuda.device import Card, card
from fastnn.backends.cuda.library import Library
from fastnn.backends.protocol import Backend
from fastnn.core.plan import OptimizerEntry
from fastnn.core.specs import LossSpec, MetricSpec, OptimizerSpec
from fastnn.core.steps import OPTIMIZERS
from plans import ADAM, ENDS, MODELS, MSE, SGD, Layer, Model
from support import DTYPES, assert_same_bits, child, load
from traces import assert_same, trace

ALL = MODELS | ENDS


@pytest.fixture(scope="module")
def twin() -> Backend:
    """What has the bits: C, or the reference where nothing is compiled."""
    try:
        return load("c")
    except pytest.skip.Exception:
        return load("reference")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALL)
def test_any_plan(name: str, dtype: str, twin: Backend) -> None:
    """Predictions, a gradient, ten steps, scores: sums, theta, statistics, slots, scalars and counters."""
    assert_same(trace(load("cuda"), ALL[name], dtype), trace(twin, ALL[name], dtype), f"{name} {dtype}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_golden_networks(dtype: str, twin: Backend) -> None:
    """Ten losses and the final theta, by digests."""
    assert golden_nets.digests(load("cuda"), dtype) == golden_nets.digests(twin, dtype)


@pytest.mark.parametrize("seed", range(16))
def test_random_graphs(seed: int) -> None:
    """Merges, shared weights, embeddings, several inputs and heads."""
    dtype = DTYPES[seed % 2]
    pairs = zip(graphs.by_the_reference(seed, 9, dtype), graphs.made(load("cuda"), seed, 9, dtype), strict=True)
    for number, (wanted, got) in enumerate(pairs):
        assert_same_bits(got, wanted, f"seed {seed}, array {number}")


@pytest.mark.parametrize("piece", [1, 2**28])
def test_data_larger_than_the_card(piece: int, twin: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of one step at a time, or of many."""
    cuda = load("cuda")
    monkeypatch.setattr(residents, "SHARE", 0.0)
    monkeypatch.setattr(residents, "PIECE_BYTES", piece)
    for name in ("weighted metrics", "batch_norm"):
        assert_same(trace(cuda, ALL[name], "float32"), trace(twin, ALL[name], "float32"), name)


def test_a_step_that_is_not_finite_is_the_last(twin: Backend) -> None:
    model = ALL["special classes"]
    found: list[tuple[int, Any]] = []
    for backend in (load("cuda"), twin):
        plan = model.plan("float32")
        state = model.state(plan)
        data, sums = model.data(plan), np.zeros(plan.sums)
        taken = backend.program(plan, state).run_steps(data, 0, data.steps, sums, stop=True)
        found.append((taken, state.theta.copy()))
    assert found[0][0] == found[1][0]
    assert_same_bits(found[0][1], found[1][1], "theta")


CLASSES, ACCURACY = LossSpec("sparse_categorical_crossentropy"), MetricSpec("sparse_categorical_accuracy")
DEEP: tuple[Layer, ...] = (
    ("dense", 9), ("activation", "relu"), ("dense", 20), ("activation", "tanh"), ("dense", 4), ("activation", "softmax")
)  # fmt: skip
WIDE: tuple[Layer, ...] = (("dense", 40, {"use_bias": False}), ("activation", "relu"), ("dense", 5))
CHAINS = {
    model.name: model
    for model in (
        Model("metric", DEEP, CLASSES, (ACCURACY,), ADAM, ordered=True),
        Model("weights", DEEP, CLASSES, (ACCURACY._replace(weighted=True),), ADAM, weighted=True, scheduled=True),
        Model("no bias", WIDE, CLASSES._replace(from_logits=True), (), SGD, features=70, rows=7, batch=3),
        Model("errors", (("dense", 5), ("activation", "sigmoid"), ("dense", 3)), MSE, (), SGD, weighted=True),
        Model("chunks", (("dense", 3),), MSE, (), OptimizerSpec("momentum", (0.9,)), rows=700, batch=600),
        Model("limit", DEEP, CLASSES, (ACCURACY,), ADAM._replace(weight_decay=0.01, clip="value", limit=0.001)),
    )
}


@pytest.mark.parametrize(("name", "dtype"), [*((name, "float32") for name in CHAINS), ("chunks", "float64")])
def test_small_chains(name: str, dtype: str, twin: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """One launch a slice, by a block, or by a grid as what does not fit there; and operation by operation, as larger
    ones are. All have the bits."""
    made: list[str] = []
    before = Library.kernel

    def watched(self: Library, kernel: str, *arguments: Any) -> Any:
        made.append(kernel)
        return before(self, kernel, *arguments)

    monkeypatch.setattr(Library, "kernel", watched)
    expected = trace(twin, CHAINS[name], dtype)
    assert_same(trace(load("cuda"), CHAINS[name], dtype), expected, name)
    assert {one for one in made if "steps_" in one} == {one for one in made if one.startswith("steps_")} != set()
    made.clear()
    monkeypatch.setattr(card(), "shared_bytes", 0)
    assert_same(trace(load("cuda"), CHAINS[name], dtype), expected, f"{name} by a grid")
    assert {one for one in made if "steps_" in one} == {one for one in made if one.startswith("grid_steps_")} != set()
    made.clear()
    monkeypatch.setattr(program, "GRID_FLOPS", 0)
    assert_same(trace(load("cuda"), CHAINS[name], dtype), expected, f"{name} by operations")
    assert not any("steps_" in one for one in made)


@pytest.mark.parametrize("dtype", DTYPES)
def test_chains_by_a_grid(dtype: str, twin: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every optimizer, as `test_any_plan` trains them by one block."""
    monkeypatch.setattr(card(), "shared_bytes", 0)
    names: dict[int, str] = {}
    for name, model in ALL.items():
        plan = model.plan(dtype)
        if chain(plan, model.batch, 1) is not None:
            names.setdefault(int(plan.optimizer[OptimizerEntry.CODE]), name)
    assert set(names) == set(range(len(OPTIMIZERS)))
    for name in names.values():
        assert_same(trace(load("cuda"), ALL[name], dtype), trace(twin, ALL[name], dtype), f"{name} {dtype}")


@pytest.mark.parametrize("way", ["block", "grid", "graph", "pieces"])
def test_launches_a_step(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the host makes: one a slice, whatever its steps, for small chains; one a step else, whose kernels the second
    step captures."""
    cuda, model = load("cuda"), CHAINS["metric"]
    if way != "block":
        monkeypatch.setattr(card(), "shared_bytes", 0)
    if way in ("graph", "pieces"):
        monkeypatch.setattr(program, "GRID_FLOPS", 0)
    if way == "pieces":
        monkeypatch.setattr(residents, "SHARE", 0.0)
        monkeypatch.setattr(residents, "PIECE_BYTES", 1)
    plan = model._replace(rows=68).plan("float32")
    state = model.state(plan)
    data, sums = model._replace(rows=68, ordered=False).data(plan), np.zeros(plan.sums)
    trained = cuda.program(plan, state)
    for _ in range(2):  # what is made once
        trained.run_steps(data, 0, data.steps, sums)
    made: list[str] = []

    def watch(name: str) -> None:
        before = getattr(Card, name)

        def watched(self: Card, what: Any) -> None:
            made.append(name)
            before(self, what)

        monkeypatch.setattr(Card, name, watched)

    watch("launch")
    watch("replay")
    trained.run_steps(data, 0, data.steps, sums)
    assert data.steps == 4
    assert made == (["launch"] if way in ("block", "grid") else ["replay"] * data.steps)


def test_what_is_no_chain() -> None:
    """Whatever the kernel does not know is left to operations."""
    wrong = ("penalties", "frozen", "dropout", "batch_norm", "norm", "global_norm", "softmax", "weighted metrics")
    for name in wrong:
        assert chain(ALL[name].plan("float32"), 16, 1) is None, name
    for dtype in DTYPES:
        assert chain(CHAINS["metric"].plan(dtype), 16, 1) is not None


OTHER = """
import itertools, json
import golden_nets
from support import load
golden_nets.networks = lambda dtype, all_of=golden_nets.networks: itertools.islice(all_of(dtype), 4)
from fastnn.backends.cuda.device import card
print(card().arch, json.dumps(golden_nets.digests(load("cuda"), "float32")))
"""


@pytest.mark.parametrize("arch", ["sm_80", *(pytest.param(a, marks=pytest.mark.slow) for a in ("sm_75", "sm_100"))])
def test_golden_networks_on_another_card(arch: str, twin: Backend) -> None:
    """Its PTX is compiled anew."""
    load("cuda")
    if not card().emulated:
        pytest.skip("a card has one architecture")
    run = child("-c", OTHER, EMULATED_CARD=arch)
    assert run.returncode == 0, run.stderr
    found, _, digests = run.stdout.strip().splitlines()[-1].partition(" ")
    expected = golden_nets.digests(twin, "float32")
    assert found == arch
    assert json.loads(digests) == {name: expected[name] for name in json.loads(digests)}
    assert len(json.loads(digests)) == 4
