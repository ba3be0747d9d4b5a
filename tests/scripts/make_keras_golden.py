"""Write tests/golden/keras.json: small trainings as Keras 3.15.1 on JAX does them, in float32 and float64.

Run where keras==3.15.1 and jax are installed: `python tests/scripts/make_keras_golden.py` (two minutes). What goes in
(rows, targets, weights before the first step) is made by formula, rounded to four decimals and stored in the file, so
the test needs neither Keras nor this script. Logits stay within a few units of each other: Keras clips
probabilities to [1e-7, 1 - 1e-7], fastnn does not.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

TARGET = Path(__file__).parents[1] / "golden" / "keras.json"
ROWS, BATCH, EPOCHS = 10, 4, 10

Case = dict[str, Any]


def wave(shape: tuple[int, ...], phase: float, scale: float) -> list[Any]:
    """Numbers that look unordered and are the same everywhere."""
    flat = [round(scale * math.sin(1.7 * i * i + 3.1 * i + phase), 4) for i in range(math.prod(shape))]
    nested: list[Any] = np.array(flat).reshape(shape).tolist()
    return nested


def arrays() -> dict[str, Any]:
    """The rows and targets that the cases choose from by name."""
    label = [(3 * i + i * i // 4) % 3 for i in range(ROWS)]
    raw = np.exp(wave((ROWS, 3), 0.7, 1.0))
    return {
        "X": wave((ROWS, 5), 0.3, 1.0),
        "X_image": wave((ROWS, 2, 3), 0.9, 1.0),
        "label": label,
        "label_column": [[v] for v in label],
        "onehot": np.eye(3)[label].tolist(),
        "distribution": np.round(raw / raw.sum(axis=1, keepdims=True), 4).tolist(),
        "binary": [float(i % 3 == 0) for i in range(ROWS)],
        "soft_binary": [round(0.5 + 0.45 * math.sin(2.0 * i), 4) for i in range(ROWS)],
        "multilabel": [[float((i >> b) & 1) for b in range(3)] for i in range(ROWS)],
        "real": wave((ROWS, 1), 0.2, 1.0),
        "real3": wave((ROWS, 3), 0.5, 1.0),
        "unit3": np.round(0.5 + 0.4 * np.array(wave((ROWS, 3), 1.5, 1.0)), 4).tolist(),
        "weight": [round(0.2 + 0.17 * ((7 * i) % 10), 4) for i in range(ROWS)],
        "signed_weight": [round(math.cos(1.3 * i), 4) for i in range(ROWS)],
    }


def dense(units: int, activation: str | None = None, **more: Any) -> list[Any]:
    return ["Dense", {"units": units, "activation": activation, **more}]


def start(number: int, name: str, shape: tuple[int, ...]) -> list[Any]:
    """Weights before the first step: around 0, but around 1 what multiplies or divides."""
    values = wave(shape, 0.4 + number, 0.7 if len(shape) == 2 else 0.1)
    return [round(1.0 + 3.0 * v, 4) for v in values] if name in ("gamma", "moving_variance") else values


def case(name: str, layers: list[list[Any]], loss: Any, y: str, **more: Any) -> Case:
    """One training; what `more` leaves out is SGD(0.05), no metrics, unweighted rows of X."""
    optimizer = more.pop("optimizer", ["SGD", {"learning_rate": 0.05}])
    return {
        "name": name,
        "layers": layers,
        "loss": loss,
        "y": y,
        "X": "X",
        "optimizer": optimizer,
        "metrics": [],
        "weighted_metrics": [],
    } | more


def cases() -> list[Case]:
    """Every training of the file."""
    classify = [dense(7, "tanh"), dense(3, "softmax")]
    regress = [dense(7, "tanh"), dense(1)]
    sparse = ["SparseCategoricalCrossentropy", {}]
    found = []
    optimizers: list[tuple[str, str, dict[str, Any]]] = [
        ("sgd", "SGD", {"learning_rate": 0.1}),
        ("sgd_defaults", "SGD", {}),
        ("sgd_momentum", "SGD", {"learning_rate": 0.05, "momentum": 0.9}),
        ("sgd_nesterov", "SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
        ("sgd_weight_decay", "SGD", {"learning_rate": 0.05, "weight_decay": 0.1}),
        ("rmsprop", "RMSprop", {}),
        ("rmsprop_rho", "RMSprop", {"learning_rate": 0.01, "rho": 0.6, "epsilon": 1e-5}),
        ("adagrad", "Adagrad", {"learning_rate": 0.1}),
        ("adagrad_defaults", "Adagrad", {}),
        ("adam", "Adam", {}),
        ("adam_betas", "Adam", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-4}),
        ("adamw", "AdamW", {}),
        ("adamw_decay", "AdamW", {"learning_rate": 0.005, "weight_decay": 0.3}),
        ("amsgrad", "Adam", {"learning_rate": 0.02, "beta_2": 0.8, "amsgrad": True}),
        ("rmsprop_momentum", "RMSprop", {"learning_rate": 0.01, "momentum": 0.8}),
        ("rmsprop_centered", "RMSprop", {"learning_rate": 0.01, "centered": True, "epsilon": 1e-4}),
        ("rmsprop_both", "RMSprop", {"learning_rate": 0.01, "momentum": 0.8, "centered": True, "epsilon": 1e-4}),
        ("adamax", "Adamax", {}),
        ("adamax_betas", "Adamax", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-4}),
        ("nadam", "Nadam", {}),
        ("nadam_betas", "Nadam", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-4}),
        ("adadelta", "Adadelta", {}),
        ("adadelta_rho", "Adadelta", {"learning_rate": 1.0, "rho": 0.8, "epsilon": 1e-4}),
        ("lion", "Lion", {}),
        ("lion_betas", "Lion", {"learning_rate": 0.01, "beta_1": 0.7, "beta_2": 0.9}),
        ("ftrl", "Ftrl", {"learning_rate": 0.1}),
        (
            "ftrl_penalties",
            "Ftrl",
            {
                "learning_rate": 0.2,
                "initial_accumulator_value": 0.3,
                "l1_regularization_strength": 0.01,
                "l2_regularization_strength": 0.02,
                "l2_shrinkage_regularization_strength": 0.01,
                "beta": 0.1,
            },
        ),
        ("ftrl_power", "Ftrl", {"learning_rate": 0.1, "learning_rate_power": -0.4}),
    ]
    for name, kind, config in optimizers:
        found.append(case(f"optimizer_{name}", classify, sparse, "label", optimizer=[kind, config]))

    curved = ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "softplus", "silu", "gelu", "softmax"]
    for activation in ["linear", *curved]:
        layers = [dense(6, activation), dense(3)]
        found.append(case(f"activation_{activation}", layers, ["MeanSquaredError", {}], "real3"))
    for activation in ("sigmoid", "softmax", "softplus", "gelu"):
        layers = [dense(6, "tanh"), dense(3, activation)]
        found.append(case(f"output_{activation}_mse", layers, ["MeanSquaredError", {}], "unit3"))

    linear3 = [dense(7, "tanh"), dense(3)]
    sigmoid1, sigmoid3 = [dense(7, "tanh"), dense(1, "sigmoid")], [dense(7, "tanh"), dense(3, "sigmoid")]
    losses: list[tuple[str, list[list[Any]], str, dict[str, Any], str]] = [
        ("mse", regress, "MeanSquaredError", {}, "real"),
        ("mse_3", linear3, "MeanSquaredError", {}, "real3"),
        ("mae", regress, "MeanAbsoluteError", {}, "real"),
        ("huber", linear3, "Huber", {}, "real3"),
        ("huber_delta", linear3, "Huber", {"delta": 0.3}, "real3"),
        ("bce", sigmoid1, "BinaryCrossentropy", {}, "binary"),
        ("bce_soft", sigmoid1, "BinaryCrossentropy", {}, "soft_binary"),
        ("bce_logits", regress, "BinaryCrossentropy", {"from_logits": True}, "binary"),
        ("bce_smoothing", sigmoid1, "BinaryCrossentropy", {"label_smoothing": 0.2}, "binary"),
        ("bce_multilabel", sigmoid3, "BinaryCrossentropy", {}, "multilabel"),
        ("bce_multilabel_logits", linear3, "BinaryCrossentropy", {"from_logits": True}, "multilabel"),
        ("cce", classify, "CategoricalCrossentropy", {}, "onehot"),
        ("cce_soft", classify, "CategoricalCrossentropy", {}, "distribution"),
        ("cce_logits", linear3, "CategoricalCrossentropy", {"from_logits": True}, "onehot"),
        ("cce_smoothing", classify, "CategoricalCrossentropy", {"label_smoothing": 0.1}, "onehot"),
        (
            "cce_logits_smoothing",
            linear3,
            "CategoricalCrossentropy",
            {"from_logits": True, "label_smoothing": 0.1},
            "onehot",
        ),
        ("cce_probabilities", sigmoid3, "CategoricalCrossentropy", {}, "onehot"),
        ("scce", classify, "SparseCategoricalCrossentropy", {}, "label"),
        ("scce_column", classify, "SparseCategoricalCrossentropy", {}, "label_column"),
        ("scce_logits", linear3, "SparseCategoricalCrossentropy", {"from_logits": True}, "label"),
        ("kld", classify, "KLDivergence", {}, "distribution"),
        ("kld_onehot", classify, "KLDivergence", {}, "onehot"),
    ]
    for name, layers, kind, config, y in losses:
        found.append(case(f"loss_{name}", layers, [kind, config], y))

    for name, regularizer in (
        ("l1", ["L1", {"l1": 0.01}]),
        ("l2", ["L2", {"l2": 0.02}]),
        ("l1l2", ["L1L2", {"l1": 0.01, "l2": 0.02}]),
    ):
        first = dense(7, "tanh", kernel_regularizer=regularizer, bias_regularizer=["L2", {"l2": 0.05}])
        found.append(case(f"regularizer_{name}", [first, dense(3, "softmax")], sparse, "label"))

    found += [
        case("sample_weight", classify, sparse, "label", fit={"sample_weight": "weight"}),
        case("sample_weight_mse", regress, "mse", "real", fit={"sample_weight": "signed_weight"}),
        case("class_weight", classify, sparse, "label", fit={"class_weight": {"0": 0.5, "2": 3.0}}),
        case("class_weight_onehot", classify, "categorical_crossentropy", "onehot", fit={"class_weight": {"1": 2.0}}),
        case("metric_accuracy_sparse", classify, sparse, "label", metrics=["accuracy"]),
        case("metric_accuracy_categorical", classify, "categorical_crossentropy", "onehot", metrics=["acc"]),
        case("metric_accuracy_binary", sigmoid1, "binary_crossentropy", "binary", metrics=["accuracy"]),
        case("metric_regression", regress, "mse", "real", metrics=["mse", "mae", "r2_score"]),
        case("metric_mae_3", linear3, "mse", "real3", metrics=["mean_absolute_error", "mean_squared_error"]),
        case("validation_split", classify, sparse, "label", metrics=["accuracy"], fit={"validation_split": 0.25}),
        case("no_bias", [dense(7, "tanh", use_bias=False), dense(3, "softmax", use_bias=False)], sparse, "label"),
        case("linear_regression", [dense(1)], "mse", "real", optimizer=["SGD", {"learning_rate": 0.1}]),
        case("logistic_regression", [dense(1, "sigmoid")], "binary_crossentropy", "binary"),
        case("softmax_regression", [dense(3, "softmax")], sparse, "label", optimizer=["Adam", {"learning_rate": 0.01}]),
        case("deep", [dense(6, "relu"), dense(5, "elu"), dense(4, "silu"), dense(3, "softmax")], sparse, "label"),
        case(
            "flatten_and_activation_layers",
            [
                ["Flatten", {}],
                dense(5),
                ["Activation", {"activation": "tanh"}],
                dense(3),
                ["Activation", {"activation": "softmax"}],
            ],
            sparse,
            "label",
            X="X_image",
        ),
    ]
    return found + of_layers() + of_steps() + of_later()


def of_layers() -> list[Case]:
    """Normalizations, and the layers that Keras has beside Dense."""
    sparse = ["SparseCategoricalCrossentropy", {}]
    last, tanh = dense(3, "softmax"), ["Activation", {"activation": "tanh"}]
    penalties = {"gamma_regularizer": ["L2", {"l2": 0.02}], "beta_regularizer": ["L1", {"l1": 0.01}]}
    found = []
    variants: dict[str, dict[str, Any]] = {
        "": {},
        "_arguments": {"epsilon": 0.1, **penalties},
        "_no_center": {"center": False},
        "_no_scale": {"scale": False},
        "_bare": {"scale": False, "center": False},
        "_frozen": {"trainable": False},
    }
    for name, config in variants.items():
        batch, row = ["BatchNormalization", config | {"momentum": 0.8}], ["LayerNormalization", config]
        found.append(case(f"batch_normalization{name}", [dense(7), batch, tanh, last], sparse, "label"))
        found.append(case(f"layer_normalization{name}", [dense(7), row, last], sparse, "label"))
    batch, row = ["BatchNormalization", {}], ["LayerNormalization", {}]
    moments = {"mean": [0.1, -0.2, 0.3, 0.0, 0.5], "variance": [0.5, 2.0, 0.01, 1.0, 4.0]}
    stacks: list[tuple[str, list[list[Any]], dict[str, Any]]] = [
        ("batch_normalization_first", [batch, dense(7, "tanh"), last], {}),
        ("batch_normalization_last", [dense(7, "tanh"), dense(3), batch, ["Softmax", {}]], {}),
        ("batch_normalization_twice", [dense(7), batch, tanh, dense(6), batch, tanh, last], {}),
        ("batch_normalization_weighted", [dense(7), batch, tanh, last], {"fit": {"sample_weight": "weight"}}),
        ("batch_normalization_validated", [dense(7), batch, tanh, last], {"fit": {"validation_split": 0.25}}),
        ("layer_normalization_first", [row, dense(7, "tanh"), last], {}),
        ("both_normalizations", [dense(7), batch, tanh, dense(6), row, last], {}),
        ("normalization_adapted", [["Normalization", {}], dense(7, "tanh"), last], {"adapt": "X"}),
        ("normalization_overall", [["Normalization", {"axis": None}], last], {"adapt": "real3"}),
        ("normalization_given", [["Normalization", moments], last], {}),
        ("rescaling", [["Rescaling", {"scale": 0.5, "offset": -0.25}], dense(7, "tanh"), last], {}),
        ("rescaling_last", [dense(7, "tanh"), dense(3), ["Rescaling", {"scale": 3.0}], ["Softmax", {}]], {}),
        ("reshape", [["Reshape", {"target_shape": [3, -1]}], ["Flatten", {}], last], {"X": "X_image"}),
    ]
    found += [case(name, stack, sparse, "label", **more) for name, stack, more in stacks]
    for kind, parameter, value in (
        ("ReLU", "negative_slope", 0.4),
        ("LeakyReLU", "negative_slope", 0.05),
        ("ELU", "alpha", 0.5),
    ):
        for name, config in ((kind, {}), (f"{kind}_{parameter}", {parameter: value})):
            found.append(case(f"layer_{name}", [dense(6), [kind, config], dense(3)], "mse", "real3"))
    return found


def of_steps() -> list[Case]:
    """Clipped gradients, schedules and weighted metrics."""
    classify, regress = [dense(7, "tanh"), dense(3, "softmax")], [dense(7, "tanh"), dense(1)]
    sparse = ["SparseCategoricalCrossentropy", {}]
    found = []
    for name, kind, config in (
        ("clipvalue", "SGD", {"learning_rate": 0.5, "clipvalue": 0.02}),
        ("clipnorm", "SGD", {"learning_rate": 0.5, "clipnorm": 0.1}),
        ("global_clipnorm", "SGD", {"learning_rate": 0.5, "global_clipnorm": 0.1}),
        ("clipvalue_adam", "Adam", {"clipvalue": 0.02}),
        ("clipnorm_adam", "Adam", {"clipnorm": 0.1}),
        ("global_clipnorm_adam", "Adam", {"global_clipnorm": 0.1}),
        ("clipnorm_loose", "RMSprop", {"clipnorm": 50.0}),
    ):
        found.append(case(f"clip_{name}", classify, sparse, "label", optimizer=[kind, config]))

    falling = {"initial_learning_rate": 0.2, "decay_steps": 7, "decay_rate": 0.5}
    bent = {"initial_learning_rate": 0.2, "decay_steps": 8}
    schedules: list[tuple[str, str, dict[str, Any]]] = [
        ("exponential", "ExponentialDecay", falling),
        ("staircase", "ExponentialDecay", {**falling, "staircase": True}),
        ("piecewise", "PiecewiseConstantDecay", {"boundaries": [5, 12], "values": [0.2, 0.05, 0.01]}),
        ("cosine", "CosineDecay", {**bent, "alpha": 0.1}),
        ("cosine_warmup", "CosineDecay", {**bent, "warmup_target": 0.5, "warmup_steps": 6}),
        ("polynomial", "PolynomialDecay", {**bent, "power": 2.0}),
        ("polynomial_cycle", "PolynomialDecay", {**bent, "end_learning_rate": 0.01, "cycle": True}),
        ("inverse_time", "InverseTimeDecay", falling),
    ]
    for name, kind, config in schedules:
        optimizer = ["SGD", {"learning_rate": [kind, config]}]
        found.append(case(f"schedule_{name}", classify, sparse, "label", optimizer=optimizer))
    slowly = ["ExponentialDecay", {**falling, "initial_learning_rate": 0.001}]
    found.append(case("schedule_adam", classify, sparse, "label", optimizer=["Adam", {"learning_rate": slowly}]))

    weight = {"sample_weight": "weight"}
    halves = {"class_weight": {"0": 0.5, "2": 3.0}, "validation_split": 0.25}
    accuracy = {"metrics": ["accuracy"], "weighted_metrics": ["accuracy", sparse]}
    errors = {"metrics": ["mae"], "weighted_metrics": ["mse", "mae", "r2_score"]}
    return [
        *found,
        case("weighted_accuracy", classify, sparse, "label", fit=weight, **accuracy),
        case("weighted_by_class", classify, sparse, "label", fit=halves, weighted_metrics=["accuracy"]),
        case("weighted_errors", regress, "mse", "real", fit=weight, **errors),
        case("weighted_without_weights", regress, "mse", "real", weighted_metrics=["mae"]),
    ]


def of_later() -> list[Case]:
    """Activations and losses that came after the cases above, whose lines stay where they are."""
    found, squares = [], ["MeanSquaredError", {}]
    for name in ("relu6", "hard_sigmoid", "hard_silu", "mish", "softsign", "exponential", "celu"):
        found.append(case(f"activation_{name}", [dense(6, name), dense(3)], squares, "real3"))
    found.append(case("layer_ReLU_max_value", [dense(6), ["ReLU", {"max_value": 6}], dense(3)], squares, "real3"))
    tanh, linear, positive = dense(7, "tanh"), dense(3), dense(3, "exponential")
    losses: list[tuple[str, list[Any], str, str]] = [
        ("mape", linear, "MeanAbsolutePercentageError", "real3"),
        ("msle", linear, "MeanSquaredLogarithmicError", "unit3"),
        ("log_cosh", linear, "LogCosh", "real3"),
        ("hinge", linear, "Hinge", "multilabel"),
        ("hinge_real", linear, "Hinge", "real3"),
        ("squared_hinge", linear, "SquaredHinge", "multilabel"),
        ("categorical_hinge", linear, "CategoricalHinge", "onehot"),
        ("poisson", positive, "Poisson", "unit3"),
        ("cosine_similarity", linear, "CosineSimilarity", "real3"),
    ]
    for name, last, kind, y in losses:
        optimizer = ["SGD", {"learning_rate": 1e-4 if name == "mape" else 0.05}]
        found.append(case(f"loss_{name}", [tanh, last], [kind, {}], y, optimizer=optimizer))
    errors, sides = (
        ["mape", "msle", "log_cosh_error", "poisson", "cosine_similarity"],
        ["squared_hinge", "categorical_hinge"],
    )
    weighted: list[Any] = [[name, {}] for name in ("CosineSimilarity", "Hinge", "LogCoshError")]
    more = {"metrics": sides, "weighted_metrics": weighted, "fit": {"sample_weight": "weight"}}
    found.append(case("metric_errors", [tanh, positive], squares, "unit3", metrics=errors))
    found.append(case("metric_hinges", [tanh, linear], squares, "onehot", **more))
    return found


def shortest(value: Any, dtype: str) -> Any:
    """Numbers as short as the dtype allows: all digits of float32, 13 of float64 (the test asks for 9)."""
    if isinstance(value, dict):
        return {key: shortest(v, dtype) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [shortest(v, dtype) for v in value]
    array = np.asarray(value)
    if array.ndim:
        return [shortest(v, dtype) for v in array]
    return float(str(np.float32(array))) if dtype == "float32" else float(f"{float(array):.13g}")


def train(case: Case, data: dict[str, Any], dtype: str) -> Case:
    """What Keras makes of one case."""
    import keras

    def made(module: Any, spec: Any) -> Any:
        if isinstance(spec, str):
            return spec
        config = dict(spec[1])
        if isinstance(config.get("learning_rate"), list):
            config["learning_rate"] = made(module.schedules, config["learning_rate"])
        return getattr(module, spec[0])(**config)

    def layer(spec: list[Any]) -> Any:
        kind, config = spec
        config = {k: made(keras.regularizers, v) if k.endswith("regularizer") else v for k, v in config.items()}
        return getattr(keras.layers, kind)(**config)

    def array(name: str) -> Any:
        value = np.array(data[name])
        return value.astype(dtype) if value.dtype.kind == "f" else value

    keras.backend.clear_session()
    X, y = array(case["X"]), array(case["y"])
    model = keras.Sequential([keras.Input(X.shape[1:]), *map(layer, case["layers"])])
    read = [layer for layer in model.layers if isinstance(layer, keras.layers.Normalization)]
    if "adapt" in case:
        read[0].adapt(array(case["adapt"]))
    weights = [w for layer in model.layers if layer not in read for w in layer.weights]
    begin = [start(i, w.name, tuple(w.shape)) for i, w in enumerate(weights)]
    for weight, values in zip(weights, begin, strict=True):
        weight.assign(np.array(values, dtype))
    model.compile(
        optimizer=made(keras.optimizers, case["optimizer"]),
        loss=made(keras.losses, case["loss"]),
        metrics=case["metrics"],
        weighted_metrics=[made(keras.metrics, metric) for metric in case["weighted_metrics"]] or None,
    )
    fit = dict(case.get("fit", {}))
    if "sample_weight" in fit:
        fit["sample_weight"] = array(fit["sample_weight"])
    if "class_weight" in fit:
        fit["class_weight"] = {int(k): v for k, v in fit["class_weight"].items()}
    history = model.fit(X, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0, **fit)
    assert {w.dtype for w in weights} == {dtype}
    result = {
        "history": history.history,
        "weights": [w.numpy() for w in weights],
        "moments": [np.ravel(moment) for layer in read for moment in (layer.mean, layer.variance)],
        "evaluate": model.evaluate(X, y, batch_size=BATCH, verbose=0, return_dict=True),
        "predict": model.predict(X, batch_size=BATCH, verbose=0),
    }
    return {"start": begin, dtype: shortest(result, dtype)}


def one_dtype(dtype: str) -> None:
    """In a process of its own, since JAX's 64-bit switch and Keras's backend are set at import."""
    os.environ["KERAS_BACKEND"] = "jax"
    if dtype == "float64":
        os.environ["JAX_ENABLE_X64"] = "1"
    import jax
    import keras

    assert keras.__version__ == "3.15.1", keras.__version__
    keras.config.set_floatx(dtype)
    if dtype == "float64":
        # Only under TensorFlow does Keras promote to 64 bits: elsewhere its means are rounded to float32.
        from keras.src.backend.common import dtypes

        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
        assert keras.backend.result_type("float64", "float32") == "float64"
    data = arrays()
    versions = f"Keras {keras.__version__}, JAX {jax.__version__}"
    json.dump({"versions": versions, "cases": [train(case, data, dtype) for case in cases()]}, sys.stdout)


def main() -> None:
    """Run both dtypes and write the file, one case a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", choices=("float32", "float64"), help="print this dtype's results and write nothing")
    dtype = parser.parse_args().dtype
    if dtype:
        one_dtype(dtype)
        return
    runs = []
    for name in ("float32", "float64"):
        command = [sys.executable, __file__, "--dtype", name]
        runs.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    merged = [a | b | c for a, b, c in zip(cases(), runs[0]["cases"], runs[1]["cases"], strict=True)]
    head = {"made_by": "tests/scripts/make_keras_golden.py", "versions": runs[0]["versions"]}
    head |= {"batch_size": BATCH, "epochs": EPOCHS, "arrays": arrays()}
    compact = {"separators": (",", ":")}
    lines = ",\n".join(json.dumps(case, **compact) for case in merged)  # type: ignore[arg-type]
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(head, **compact)[:-1] + ',"cases":[\n' + lines + "\n]}\n")  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
