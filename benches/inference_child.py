"""One library, one network, in a process of its own: times predictions of many rows. Started by inference.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.benchmarks import models
from fastnn.benchmarks.processes import Found, repeat
from fastnn.benchmarks.processors import runs_on

CHECKED = 256  # rows that are compared with float64

Predict = Callable[[], Any]  # probabilities of all rows, as a NumPy array


def fastnn_predict(job: Found, X: models.Floats) -> Predict:
    """The public API, one batch."""
    import fastnn

    model = models.started(fastnn, job["widths"])
    model.compile(loss="sparse_categorical_crossentropy", backend=job["backend"])
    return lambda: model.predict(X, batch_size=len(X), verbose=0)


def keras_predict(job: Found, X: models.Floats) -> Predict:
    """On JAX, one batch."""
    import keras

    model = models.started(keras, job["widths"])
    model.compile(loss="sparse_categorical_crossentropy")
    return lambda: model.predict(X, batch_size=len(X), verbose=0)


def jax_predict(job: Found, X: models.Floats) -> Predict:
    """One jitted function."""
    import jax
    import jax.numpy as jnp

    theta = [(jnp.array(W), jnp.array(b)) for W, b in models.start_weights(job["widths"])]
    compiled = jax.jit(lambda theta, x: jax.nn.softmax(models.jax_logits(theta, x)))
    return lambda: np.asarray(compiled(theta, X))


def torch_predict(job: Found, X: models.Floats) -> Predict:
    """Eager, or through inductor, in inference mode."""
    import torch

    torch.set_num_threads(job["threads"])
    model = models.torch_network(job["widths"])

    def probabilities(x: Any) -> Any:
        return torch.softmax(model(x), dim=1)

    if job["library"] == "compile":
        probabilities = torch.compile(probabilities, dynamic=False)

    def run() -> Any:
        with torch.inference_mode():
            return probabilities(torch.from_numpy(X)).numpy()

    return run


def sklearn_predict(job: Found, X: models.Floats) -> Predict:
    """MLPClassifier.predict_proba, which has a softmax for three classes or more."""
    from sklearn.neural_network import MLPClassifier

    outputs = job["widths"][-1]
    model = MLPClassifier(hidden_layer_sizes=job["widths"][1:-1], random_state=0)
    model.partial_fit(X[:outputs], np.arange(outputs), classes=np.arange(outputs))
    if outputs > 2:  # of two classes it has one output, so that no weights of the others fit
        weights = models.start_weights(job["widths"])
        model.coefs_, model.intercepts_ = [W for W, _ in weights], [b for _, b in weights]
    return lambda: model.predict_proba(X)


def numpy_predict(job: Found, X: models.Floats) -> Predict:
    """As a textbook writes it."""
    weights = models.start_weights(job["widths"])
    return lambda: forward(weights, X)


def onnx_predict(job: Found, X: models.Floats) -> Predict:
    """onnxruntime, on a graph of Gemm, Relu and Softmax."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    layers = models.start_weights(job["widths"])
    nodes, constants, last = [], [], "x"
    for number, (W, b) in enumerate(layers):
        constants += [numpy_helper.from_array(W, f"W{number}"), numpy_helper.from_array(b, f"b{number}")]
        nodes.append(helper.make_node("Gemm", [last, f"W{number}", f"b{number}"], [f"z{number}"]))
        kind = "Relu" if number < len(layers) - 1 else "Softmax"
        nodes.append(helper.make_node(kind, [f"z{number}"], [f"a{number}"]))
        last = f"a{number}"
    ends = [("x", job["widths"][0]), (last, job["widths"][-1])]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width]) for name, width in ends]
    graph = helper.make_graph(nodes, "network", infos[:1], infos[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": X})[0]


PREDICTS = {
    "fastnn": fastnn_predict,
    "jax": jax_predict,
    "torch": torch_predict,
    "compile": torch_predict,
    "keras": keras_predict,
    "sklearn": sklearn_predict,
    "numpy": numpy_predict,
    "onnx": onnx_predict,
}


def forward(weights: Any, X: Any) -> Any:
    """Probabilities, in the dtype of the arguments."""
    for W, b in weights[:-1]:
        X = np.maximum(X @ W + b, 0)
    W, b = weights[-1]
    Z = X @ W + b
    Z = np.exp(Z - Z.max(axis=1, keepdims=True))
    return Z / Z.sum(axis=1, keepdims=True)


def measure(job: Found) -> Found:
    """times: seconds of each prediction; first: of preparing and the first one; error: against float64."""
    X, _ = models.data(job)
    weights = models.start_weights(job["widths"])
    start = time.perf_counter()
    predict = PREDICTS[job["library"]](job, X)
    P = predict()
    first = time.perf_counter() - start
    times = repeat(predict, job["seconds"])
    # Afterwards: the threads of NumPy's OpenBLAS would look for more work on the cores that are measured.
    exact = forward([(W.astype(np.float64), b.astype(np.float64)) for W, b in weights], X[:CHECKED].astype(np.float64))
    error = float(np.abs(P[:CHECKED] - exact).max())
    kernels = "MLAS, by its own choice" if job["library"] == "onnx" else runs_on(job)
    return {"times": times, "first": first, "error": error, "runs": kernels, "version": models.version(job["library"])}
