"""Small models as plans, with data: every activation, loss and optimizer, and what else a plan can hold."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastnn.backends.data import Data
from fastnn.core.formulas import ACTIVATIONS
from fastnn.core.lowering import Lowering
from fastnn.core.plan import Plan, Scalar
from fastnn.core.rowwise import ROW_WISE
from fastnn.core.specs import LossSpec, MetricSpec, OptimizerSpec, ParameterSpec, Penalty
from fastnn.core.state import State
from support import Array

# ("dense", units, options) | ("activation", name) | ("dropout", rate) | ("affine", scale, offset) | ("standardize",) |
# ("batch_norm", options) | ("layer_norm", options)
Layer = tuple[Any, ...]

MSE = LossSpec("mean_squared_error")
SGD = OptimizerSpec("sgd")
ADAM = OptimizerSpec("adam", (0.9, 0.999, 1e-7))
PARAMETERS = {"leaky_relu": 0.2, "elu": 0.8}


def trains(options: dict[str, Any]) -> bool:
    """Whether a layer with these options is trained."""
    return bool(options.get("trainable", True))


def specs(names: tuple[str, ...], options: dict[str, Any]) -> list[ParameterSpec | None]:
    """The specs of a layer's parameters by Keras's options; None for one that it does without."""
    switch = {"bias": "use_bias", "gamma": "scale", "beta": "center"}
    return [
        ParameterSpec(options.get(f"{name}_penalty", Penalty()), trains(options), options.get(f"{name}_decay", True))
        if options.get(switch.get(name, ""), True)
        else None
        for name in names
    ]


class Model(NamedTuple):
    """What a test trains: layers, loss, metrics, optimizer, and the shape of its data."""

    name: str
    layers: tuple[Layer, ...]
    loss: LossSpec = MSE
    metrics: tuple[MetricSpec, ...] = ()
    optimizer: OptimizerSpec = SGD
    features: int = 5
    rows: int = 39
    batch: int = 17
    weighted: bool = False
    ordered: bool = False
    ends: str = ""  # "huge" or "special" values in X
    scheduled: bool = False  # steps have learning rates of their own
    shared: bool = False  # and multiply penalties by factors of their own

    def plan(self, dtype: Any) -> Plan:
        """The model lowered."""
        lowering = Lowering(dtype, self.features)
        for number, (kind, *values) in enumerate(self.layers):
            name, options = f"{kind}_{number}", dict(values.pop()) if values and isinstance(values[-1], dict) else {}
            match kind:
                case "dense":
                    kernel, bias = specs(("kernel", "bias"), options)
                    assert kernel is not None
                    lowering.dense(name, values[0], kernel, bias)
                case "activation":
                    lowering.activation(values[0], PARAMETERS.get(values[0], 0.0))
                case "dropout":
                    lowering.dropout(values[0])
                case "affine":
                    lowering.affine(*values)
                case "standardize":
                    lowering.standardize(name, 0.8)  # above some of the deviations
                case "batch_norm":
                    gamma, beta = specs(("gamma", "beta"), options)
                    lowering.batch_norm(name, 0.9, 1e-3, gamma, beta, trains(options))
                case "layer_norm":
                    lowering.layer_norm(name, 1e-3, *specs(("gamma", "beta"), options))
                case "row_wise":
                    row = ROW_WISE[values[0]]
                    vectors = tuple(ParameterSpec(**options) for _ in row.vectors)
                    lowering.row_wise(values[0], name, vectors, tuple(1e-3 for _ in row.constants))
            lowering.next_layer()
        return lowering.finish(self.loss, self.metrics, self.optimizer)

    def state(self, plan: Plan) -> State:
        """Its state, with the same weights in every run."""
        state = State(plan, seed=2**33 + 11)
        random = self._random()
        for parameter in plan.layout.parameters:
            scale = 1.0 / np.sqrt(parameter.shape[0]) if parameter.name == "kernel" else 0.3
            values = scale * random.standard_normal(parameter.shape)
            if parameter.name == "gamma" or "variance" in parameter.name:
                values = np.abs(1.0 + values)
            state.view(parameter)[...] = values
        state.scalars[Scalar.LEARNING_RATE] = 0.02
        return state

    def data(self, plan: Plan, order: Array | None = None) -> Data:
        """Its data, in the plan's dtype but for y, which is float64."""
        random = self._random()
        X = random.standard_normal((self.rows, self.features)).astype(plan.dtype)
        if self.ends:
            X[::3] *= 1e4
        if self.ends == "special":
            X[1, 0], X[2, 1], X[4, 2], X[5, 3] = np.nan, np.inf, -np.inf, np.finfo(plan.dtype).smallest_subnormal
        w = random.uniform(-0.5, 2.0, self.rows).astype(plan.dtype) if self.weighted else None
        y, batch = self._targets(random, plan), min(self.batch, self.rows)
        shares = random.uniform(0.0, 2.0, -(-self.rows // batch)) if self.shared else None
        return Data((X,), (y,), (w,), order, batch, shares)

    def _targets(self, random: np.random.RandomState, plan: Plan) -> Array:
        shape, name = (self.rows, plan.widths[0]), self.loss.name
        classes = random.randint(0, plan.widths[0], self.rows)
        if name.startswith("sparse"):
            return classes[:, None].astype(np.float64)
        if name == "categorical_crossentropy":
            return np.eye(plan.widths[0])[classes]
        if name == "binary_crossentropy":
            return random.randint(0, 2, shape).astype(np.float64)
        if name == "kl_divergence":
            shares = random.uniform(0.1, 1.0, shape)
            return np.asarray(shares / shares.sum(axis=1, keepdims=True))
        return random.standard_normal(shape)

    def _random(self) -> np.random.RandomState:
        return np.random.RandomState(zlib.crc32(self.name.encode()))


def _hidden(name: str) -> tuple[Layer, ...]:
    return ("dense", 7), ("activation", name), ("dense", 3)


def _activations() -> Iterator[Model]:
    kinds = {(activation.saved, bool(activation.parameter)): name for name, activation in ACTIVATIONS.items()}
    for name in ("relu", *kinds.values(), "softmax"):  # of each kind one: programs know no more of them
        yield Model(name, _hidden(name))
    yield Model(
        "activation first", (("activation", "tanh"), ("dense", 4), ("activation", "relu"), ("activation", "sigmoid"))
    )


def _row_wise() -> Iterator[Model]:
    for name, layer in ROW_WISE.items():
        yield Model(name, (("dense", 7), ("row_wise", name), ("dense", 3)), optimizer=ADAM, ordered=True)
        if layer.vectors:
            options = {"penalty": Penalty(0.01, 0.02), "decay": False}
            first: tuple[Layer, ...] = (("row_wise", name, options), ("dense", 20), ("row_wise", name))
            yield Model(f"{name} first", first, optimizer=ADAM._replace(weight_decay=0.01), weighted=True)
            frozen: tuple[Layer, ...] = (("dense", 7), ("row_wise", name, {"trainable": False}), ("dense", 3))
            clipped = ADAM._replace(clip="global_norm", limit=0.1)
            yield Model(f"{name} frozen", frozen, optimizer=clipped, features=3, rows=300, batch=290)


def _losses() -> Iterator[Model]:
    linear: tuple[Layer, ...] = (("dense", 3),)
    softmax: tuple[Layer, ...] = (("dense", 4), ("activation", "softmax"))
    sigmoid: tuple[Layer, ...] = (("dense", 3), ("activation", "sigmoid"))
    for name, parameter in (
        ("mean_absolute_error", 0.0),
        ("lp3", 3.0),
        ("lp4", 4.0),
        ("lp", 2.3),
        ("huber", 0.5),
        ("cosine_similarity", 0.0),
    ):
        yield Model(name, linear, LossSpec(name, parameter=parameter))
    yield Model("kl", softmax, LossSpec("kl_divergence"))
    for loss, fused, apart in (
        ("binary_crossentropy", sigmoid, softmax),
        ("categorical_crossentropy", softmax, sigmoid),
        ("sparse_categorical_crossentropy", softmax, sigmoid),
    ):
        smoothing = 0.0 if loss.startswith("sparse") else 0.1
        yield Model(f"{loss} fused", fused, LossSpec(loss))
        yield Model(f"{loss} apart", apart, LossSpec(loss, label_smoothing=smoothing))
        yield Model(
            f"{loss} logits", linear, LossSpec(loss, from_logits=True, label_smoothing=smoothing), weighted=True
        )


def _optimizers() -> Iterator[Model]:
    layers: tuple[Layer, ...] = (("dense", 6, {"bias_decay": False}), ("activation", "tanh"), ("dense", 2))
    for spec in (
        OptimizerSpec("momentum", (0.9,)),
        OptimizerSpec("nesterov", (0.9,), weight_decay=0.01),
        OptimizerSpec("rmsprop", (0.9, 1e-7)),
        OptimizerSpec("adagrad", (1e-7,), initial=(0.1,)),
        ADAM,
        OptimizerSpec("adam", (0.9, 0.999, 1e-7), weight_decay=0.004),
        OptimizerSpec("amsgrad", (0.9, 0.9, 1e-7)),
        OptimizerSpec("adamax", (0.9, 0.999, 1e-7), weight_decay=0.01),
        OptimizerSpec("nadam", (0.9, 0.999, 1e-7)),
        OptimizerSpec("adadelta", (0.9, 1e-7)),
        OptimizerSpec("lion", (0.9, 0.99)),
        OptimizerSpec("ftrl", (0.01, 0.02, 0.01, 0.1), initial=(0.1, 0.0)),
        OptimizerSpec("ftrl_power", (0.0, 0.0, 0.0, 0.0, 0.4), initial=(0.1, 0.0)),
        OptimizerSpec("rmsprop_momentum", (0.9, 1e-7, 0.8)),
        OptimizerSpec("rmsprop_centered", (0.9, 1e-3)),
        OptimizerSpec("rmsprop_centered_momentum", (0.9, 1e-3, 0.8)),
    ):
        yield Model(f"{spec.name} decay {spec.weight_decay}", layers, optimizer=spec)
    yield Model("sgd decay", layers, optimizer=OptimizerSpec("sgd", weight_decay=0.1))


def _normalizations() -> Iterator[Model]:
    classes = LossSpec("sparse_categorical_crossentropy")
    both, no_bias, frozen = Penalty(0.01, 0.02), {"use_bias": False}, {"trainable": False}
    for kind in ("batch_norm", "layer_norm"):
        yield Model(
            kind,
            (("dense", 7, no_bias), (kind, {}), ("activation", "relu"), ("dense", 3)),
            optimizer=ADAM,
            ordered=True,
        )
        yield Model(f"{kind} first", ((kind, {"center": False, "gamma_penalty": both}), ("dense", 3)), weighted=True)
        yield Model(
            f"{kind} last",
            (("dense", 6), ("activation", "tanh"), ("dense", 4), (kind, {"scale": False}), ("activation", "softmax")),
            classes,
            (MetricSpec("sparse_categorical_accuracy"),),
            ADAM,
            weighted=True,
            ordered=True,
        )
        yield Model(f"{kind} alone", ((kind, {"beta_decay": False}),), optimizer=OptimizerSpec("sgd", weight_decay=0.1))
        yield Model(
            f"{kind} frozen", (("dense", 6), (kind, frozen), ("activation", "sigmoid"), ("dense", 2), (kind, frozen))
        )
        yield Model(
            f"{kind} twice",
            (
                ("dense", 9), (kind, {}), (kind, {"scale": False, "center": False}), ("activation", "gelu"),
                ("dropout", 0.3), ("dense", 5), ("activation", "selu"), (kind, {}), ("affine", 0.5, 0.1), ("dense", 3),
            ),
            ordered=True,
            scheduled=True,
        )  # fmt: skip
        yield Model(f"{kind} one at a time", (("dense", 4), (kind, {}), ("dense", 2)), batch=1, rows=10)
        yield Model(
            f"{kind} wide",
            (("dense", 70), (kind, {}), ("activation", "relu"), ("dense", 18), (kind, {}), ("dense", 5)),
            classes._replace(from_logits=True),
            optimizer=ADAM,
            features=20,
            rows=400,
            batch=290,
            ordered=True,
        )
    yield Model(
        "standardize",
        (
            ("affine", 1 / 255, -0.5),
            ("standardize",),
            ("dense", 6),
            ("standardize",),
            ("activation", "tanh"),
            ("dense", 2),
        ),
    )
    yield Model(
        "all norms", (("batch_norm", {}), ("standardize",), ("layer_norm", {}), ("affine", -2.0, 1.0), ("dense", 2))
    )


def _clips() -> Iterator[Model]:
    layers: tuple[Layer, ...] = (
        ("dense", 6, {"kernel_penalty": Penalty(0.01, 0.02)}), ("batch_norm", {"scale": False}), ("activation", "tanh"),
        ("dense", 4, {"trainable": False}), ("dense", 2),
    )  # fmt: skip
    for clip, limit in (("value", 0.05), ("norm", 0.2), ("global_norm", 0.3)):
        yield Model(clip, layers, optimizer=OptimizerSpec("sgd", clip=clip, limit=limit), scheduled=True)
        adam = ADAM._replace(weight_decay=0.01, clip=clip, limit=limit)
        yield Model(f"{clip} adam", _hidden("relu"), optimizer=adam, weighted=True, ordered=True)
        yield Model(f"{clip} out of reach", _hidden("silu"), optimizer=SGD._replace(clip=clip, limit=1e6))


def _weighted_metrics() -> Iterator[Model]:
    yield Model(
        "weighted metrics",
        _hidden("tanh"),
        metrics=tuple(
            MetricSpec(name, 0.5, weighted=weighted)
            for name in ("mean_absolute_error", "r2_score", "huber")
            for weighted in (True, False)
        ),
        weighted=True,
        ordered=True,
    )
    yield Model(
        "weighted accuracy",
        (("dense", 10), ("activation", "softmax")),
        LossSpec("sparse_categorical_crossentropy"),
        (MetricSpec("sparse_categorical_accuracy", weighted=True),),
        weighted=True,
    )
    yield Model("weighted metrics, no weights", _hidden("elu"), metrics=(MetricSpec("r2_score", weighted=True),))


def _parameters() -> Iterator[Model]:
    """Penalties, and parameters that are absent or not trained."""
    both, none = Penalty(0.01, 0.02), {"use_bias": False}
    yield Model(
        "penalties",
        (("dense", 6, {"kernel_penalty": both}), ("activation", "elu"), ("dense", 2, {"bias_penalty": both})),
        weighted=True,
    )
    wide, narrow = {"kernel_penalty": both}, {"kernel_penalty": Penalty(0.0, 0.1)}
    yield Model(
        "penalties shared",
        (("dense", 6, {"kernel_penalty": both}), ("activation", "tanh"), ("dense", 2, {"bias_penalty": both})),
        optimizer=ADAM._replace(clip="norm", limit=1.0),
        weighted=True,
        ordered=True,
        shared=True,
    )
    yield Model(
        "penalties in blocks",
        (("dense", 130, wide), ("activation", "tanh"), ("dense", 67, narrow)),
        rows=70,
        shared=True,
    )
    yield Model("no bias", (("dense", 6, none), ("activation", "gelu"), ("dense", 3, none)), optimizer=ADAM)
    yield Model("frozen", (("dense", 6, {"trainable": False}), ("activation", "relu"), ("dense", 3)), optimizer=ADAM)
    yield Model("frozen last", (("dense", 6), ("dense", 3, {"trainable": False, "kernel_penalty": both})))


def _batches() -> Iterator[Model]:
    """Few rows and many, wide layers and narrow ones."""
    yield Model("one at a time", _hidden("tanh"), batch=1, rows=10, weighted=True)
    few = (
        ("dense", 40), ("activation", "relu"), ("dense", 33, {"trainable": False}), ("activation", "tanh"), ("dense", 5)
    )  # fmt: skip
    yield Model("few rows", few, optimizer=ADAM, features=20, rows=11, batch=3)
    yield Model("few rows at the end", few, optimizer=ADAM, features=20, rows=43, batch=20)
    yield Model("one unit", (("dense", 1),), batch=39, ordered=True, metrics=(MetricSpec("r2_score"),))


def _others() -> Iterator[Model]:
    classes = LossSpec("sparse_categorical_crossentropy")
    yield Model("dropout", (("dropout", 0.2), ("dense", 9), ("activation", "relu"), ("dropout", 0.5), ("dense", 3)))
    yield Model(
        "dropout last", (("dense", 6), ("dropout", 0.3), ("activation", "tanh"), ("dropout", 0.4)), ordered=True
    )
    yield Model(
        "regression metrics",
        _hidden("silu"),
        metrics=(MetricSpec("mean_absolute_error"), MetricSpec("r2_score"), MetricSpec("huber", 0.5)),
        ordered=True,
        weighted=True,
    )
    yield Model(
        "classes, all at once",
        (("dense", 17), ("activation", "relu"), ("dropout", 0.25), ("dense", 10), ("activation", "softmax")),
        classes,
        (MetricSpec("sparse_categorical_accuracy"), MetricSpec("sparse_categorical_crossentropy")),
        ADAM,
        weighted=True,
        ordered=True,
    )
    yield Model(
        "labels",
        (("dense", 3), ("activation", "sigmoid")),
        LossSpec("binary_crossentropy", label_smoothing=0.2),
        (MetricSpec("binary_accuracy"), MetricSpec("mean_squared_error"), MetricSpec("categorical_accuracy")),
        ordered=True,
    )
    yield Model(
        "wide",
        (
            ("dense", 70),
            ("activation", "relu"),
            ("dense", 33),
            ("activation", "tanh"),
            ("dense", 18),
            ("activation", "softmax"),
        ),
        classes,
        (MetricSpec("sparse_categorical_accuracy"),),
        ADAM,
        features=300,
        rows=75,
        batch=40,
        ordered=True,
    )


_GROUPS = (
    _activations,
    _row_wise,
    _losses,
    _optimizers,
    _normalizations,
    _clips,
    _weighted_metrics,
    _parameters,
    _batches,
    _others,
)
MODELS = {model.name: model for models in _GROUPS for model in models()}

_CLASSES: tuple[Layer, ...] = (("dense", 17), ("activation", "relu"), ("dense", 10), ("activation", "softmax"))
_LABELS: tuple[Layer, ...] = (("dense", 17), ("activation", "gelu"), ("dense", 3), ("activation", "sigmoid"))
# Logits of thousands, with which training stays finite; and NaN and infinities, with which it does not.
ENDS = {
    model.name: model
    for model in (
        Model("huge classes", _CLASSES, LossSpec("sparse_categorical_crossentropy"), ends="huge"),
        Model("huge labels", _LABELS, LossSpec("binary_crossentropy"), ends="huge"),
        Model("special classes", _CLASSES, LossSpec("categorical_crossentropy"), optimizer=ADAM, ends="special"),
        Model("huge norms", (("dense", 8), ("batch_norm", {}), ("dense", 5), ("layer_norm", {})), ends="huge"),
        Model("special norms", (("dense", 8), ("layer_norm", {}), ("dense", 5), ("batch_norm", {})), ends="special"),
        Model("special clip", _hidden("tanh"), optimizer=ADAM._replace(clip="norm", limit=0.1), ends="special"),
        Model("special labels", _LABELS, LossSpec("binary_crossentropy"), (MetricSpec("r2_score"),), ends="special"),
    )
}
