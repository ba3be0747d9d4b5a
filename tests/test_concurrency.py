"""Models train in threads, in child processes and beside other libraries' threads: nothing hangs or aborts, and the
bits are those of a training alone."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import small_fit
from support import load

BACKENDS = ("numba", "c")
TIME_OUT = 120  # seconds, of which kernels may take a few to compile
FORKS = hasattr(os, "fork")

HEAD = """
import multiprocessing, os, threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from small_fit import *
"""

# Each prints the digests of trainings of its own.
SCENARIOS = {
    "threads, from the first use on": """
with ThreadPoolExecutor(4) as pool:
    print(*pool.map(trained, [backend] * 6))
""",
    "predictions and scores in threads, of one model": """
made = model(backend)
print(trained(backend, made))
expected, score = made.predict(X, verbose=0), made.evaluate(X, Y, verbose=0)

def predict(first):
    for _ in range(30):
        assert (made.predict(X[first:], verbose=0) == expected[first:]).all()
        assert made.evaluate(X, Y, verbose=0) == score
    return digest(made)

with ThreadPoolExecutor(4) as pool:
    print(*pool.map(predict, (0, 100, 500, 511)))
""",
    "predictions beside training, of one model": """
made = model(backend)
with ThreadPoolExecutor(3) as pool:
    training = pool.submit(trained, backend, made)
    def predict():
        while not training.done():
            assert (abs(made.predict(X, verbose=0).sum(axis=1) - 1) < 1e-5).all()
    for predicting in [pool.submit(predict), pool.submit(predict)]:
        predicting.result()
    print(training.result())
""",
    "a daemon thread that trains when the process ends": """
started = threading.Event()
def forever():
    made = model(backend)
    while True:
        trained(backend, made)
        started.set()
threading.Thread(target=forever, daemon=True).start()
started.wait()
print(trained(backend))
""",
    "Ctrl-C, again and again": """
import signal

class Reach(fastnn.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if self.model.optimizer.iterations >= self.steps:
            self.reached.set()

class Stop(fastnn.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = self.model.optimizer.iterations >= self.steps

def interrupt(reached):
    reached.wait()
    os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
for step in (1, 9, 77):
    made, same = model(backend), model(backend)
    reach = Reach()
    reach.steps, reach.reached = step, threading.Event()
    watching = threading.Thread(target=interrupt, args=(reach.reached,))
    watching.start()
    try:
        made.fit(X, Y, epochs=10**9, batch_size=128, verbose=0, callbacks=[reach])
    except KeyboardInterrupt:
        watching.join()
    stop = Stop()
    stop.steps = made.optimizer.iterations
    assert stop.steps >= step
    same.fit(X, Y, epochs=10**9, batch_size=128, verbose=0, callbacks=[stop])
    assert digest(made) == digest(same), "not what it is after a whole step"
    made.fit(X, Y, batch_size=128, verbose=0)
    assert made.optimizer.iterations == stop.steps + 4
print(trained(backend))
""",
    "Numba's own parallel loops in another thread": """
import numba
import numpy as np

@numba.njit(parallel=True)
def total(a):
    s = 0.0
    for i in numba.prange(a.size):
        s += a[i]
    return s

ones, done = np.ones(100_000), threading.Event()
assert total(ones) == ones.size
def forever():
    while not done.is_set():
        assert total(ones) == ones.size
beside = threading.Thread(target=forever)
if numba.threading_layer() != "workqueue":  # which aborts where two threads use it at once
    beside.start()
print(trained(backend), trained(backend))
done.set()
if beside.ident:
    beside.join()
assert total(ones) == ones.size
print(trained(backend))
""",
}

# Where processes fork.
FORKED = {
    "a fork before the first use": """
print(forked(lambda: trained(backend)))
print(trained(backend))
print(forked(lambda: trained(backend)))
""",
    "forks after the first use, and forks of forks": """
made = model(backend)
print(trained(backend))
print(forked(lambda: trained(backend)), forked(lambda: trained(backend, made)))
print(forked(lambda: forked(lambda: trained(backend)) + " " + trained(backend)))
print(trained(backend))
""",
    "forks while another thread compiles": """
first = threading.Thread(target=trained, args=[backend, model(backend)])
first.start()
print(*(forked(lambda: trained(backend)) for _ in range(10)))
first.join()
print(trained(backend))
""",
    "forks while threads train": """
print(trained(backend))
done = threading.Event()
def forever():
    while not done.is_set():
        trained(backend)
threads = [threading.Thread(target=forever) for _ in range(2)]
for thread in threads:
    thread.start()
print(*(forked(lambda: trained(backend)) for _ in range(12)))
done.set()
for thread in threads:
    thread.join()
print(trained(backend))
""",
    "forks beside a thread that trains the same model": """
import tempfile
made = model(backend)
print(trained(backend))
threading.Thread(target=lambda: made.fit(X, Y, epochs=10**9, batch_size=128, verbose=0), daemon=True).start()
other = fastnn.Sequential([fastnn.Input((64,)), *made.layers, layers.Dense(2)])  # whose weights are not made yet

def use():
    before = digest(made)
    assert before == digest(made) and made.optimizer.iterations
    made.predict(X, verbose=0), made.evaluate(X, Y, verbose=0), made.save(tempfile.mktemp())
    made.compile("sgd", "sparse_categorical_crossentropy", backend=backend)
    made.fit(X, Y, verbose=0)
    other.predict(X, verbose=0)
    return trained(backend)

print(*(forked(use) for _ in range(5)))
made.stop_training = True
""",
}

PROCESSES = """
print(trained(backend))
with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
    print(*pool.map(trained, [backend] * 3), pool.submit(trained, backend, model(backend)).result())
print(trained(backend))
"""

# The parent uses Numba's own threads before fastnn comes.
LATE = """
import multiprocessing
import numba
import numpy as np

@numba.njit(parallel=True)
def fill(a):
    for i in numba.prange(a.size):
        a[i] = i

def late():
    from small_fit import trained
    return trained(backend)

fill(np.zeros(1000))
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.apply(late), pool.apply(late))
"""

# Each imports another library with threads of its own, and defines `work`.
NEIGHBOURS = {
    "torch": """
import torch
torch.set_num_threads(2)
def work():
    a = torch.ones(600, 600, requires_grad=True)
    (a @ a).sum().backward()
    assert float(a.grad[0, 0]) == 1200.0
""",
    "sklearn": """
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier
def work():
    KMeans(4, n_init=1, random_state=0).fit(X)
    HistGradientBoostingClassifier(max_iter=2, random_state=0).fit(X, Y % 2)
""",
}
BESIDE = """
work()
print(trained(backend))
done = threading.Event()
def forever():
    while not done.is_set():
        work()
beside = threading.Thread(target=forever)
beside.start()
print(trained(backend), trained(backend))
done.set()
beside.join()
work()
print(trained(backend))
if hasattr(os, "fork"):
    print(forked(lambda: trained(backend)))
"""


def digests(code: str, head: str = HEAD, **names: str) -> list[str]:
    """What a scenario prints in a process of its own, with two threads for every model."""
    told = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    child = subprocess.Popen(
        [sys.executable, "-c", head + told + code],
        env={**os.environ, "PYTHONPATH": path, "FASTNN_NUM_THREADS": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, errors = child.communicate(timeout=TIME_OUT)
    except subprocess.TimeoutExpired:
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)  # and its children, which hold the pipes
        child.kill()
        pytest.fail(f"hangs; it printed {child.communicate()}")
    assert child.returncode == 0, f"exit status {child.returncode}: {errors}"
    return out.split()


def require(name: str) -> None:
    """Skips the test where a library that it is about is not installed."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="module")
def alone() -> str:
    """The digest of the same training by nothing but NumPy."""
    return small_fit.trained("reference")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """A backend with threads."""
    load(request.param)
    return str(request.param)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_in_one_process(scenario: str, backend: str, alone: str) -> None:
    if "numba" in SCENARIOS[scenario]:
        load("numba")
    found = digests(SCENARIOS[scenario], backend=backend)
    assert found and set(found) == {alone}


@pytest.mark.skipif(not FORKS, reason="it forks")
@pytest.mark.parametrize("scenario", FORKED)
def test_forks(scenario: str, backend: str, alone: str) -> None:
    found = digests(FORKED[scenario], backend=backend)
    assert len(found) >= 3 and set(found) == {alone}


@pytest.mark.parametrize(
    "method", ["spawn", *(["fork", pytest.param("forkserver", marks=pytest.mark.slow)] if FORKS else [])]
)
def test_pools_of_processes(method: str, backend: str, alone: str) -> None:
    """Models train in the parent, in its workers, which get one too, and in the parent again."""
    assert digests(PROCESSES, backend=backend, method=method) == [alone] * 6


def test_two_backends_in_threads_side_by_side(alone: str) -> None:
    for name in BACKENDS:
        load(name)
    code = "with ThreadPoolExecutor(4) as pool:\n    print(*pool.map(trained, ['numba', 'c'] * 3))"
    assert digests(code) == [alone] * 6


@pytest.mark.skipif(not FORKS, reason="it forks")
@pytest.mark.parametrize("first, second", [BACKENDS, BACKENDS[::-1]])
def test_a_forked_child_uses_the_other_backend(first: str, second: str, alone: str) -> None:
    """The child has neither's threads."""
    for name in BACKENDS:
        load(name)
    code = "print(trained(first), forked(lambda: trained(second) + ' ' + trained(first)), trained(second))"
    assert digests(code, first=first, second=second) == [alone] * 4


@pytest.mark.skipif(not FORKS, reason="it forks")
def test_a_forked_child_that_imports_fastnn(backend: str, alone: str) -> None:
    load("numba")
    assert digests(LATE, head="", backend=backend) == [alone] * 2


# What the two slow ones do, other tests do without joblib.
@pytest.mark.parametrize(
    "kind", ["loky", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("threading", "multiprocessing"))]
)
def test_joblib(kind: str, backend: str, alone: str) -> None:
    """As scikit-learn's n_jobs=2 does it."""
    require("joblib")
    code = (
        "import joblib\n"
        "print(trained(backend))\n"
        "jobs = [joblib.delayed(trained)(backend, model(backend)) for _ in range(4)]\n"
        "print(*joblib.Parallel(n_jobs=2, backend=kind)(jobs), trained(backend))"
    )
    assert digests(code, backend=backend, kind=kind) == [alone] * 6


@pytest.mark.parametrize("library", NEIGHBOURS)
@pytest.mark.parametrize("order", ["fastnn first", "fastnn second"])
def test_beside_another_library(library: str, order: str, backend: str, alone: str) -> None:
    """Each brings an OpenMP runtime of its own, or shares the one of the system."""
    require(library)
    first = "print(trained(backend))\n" if order == "fastnn first" else ""
    found = digests(first + NEIGHBOURS[library] + BESIDE, backend=backend)
    assert len(found) >= 4 and set(found) == {alone}
