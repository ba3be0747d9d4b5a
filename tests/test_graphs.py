"""Graphs of layers: calls on symbolic tensors, merging, several inputs and outputs, weights that models share."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import gradcheck, layers, models
from fastnn.errors import ArgumentError, ArgumentTypeError
from nets import every_backend
from support import Array, load

RANDOM = np.random.RandomState(5)
X = RANDOM.standard_normal((60, 6)).astype(np.float32)
Z = RANDOM.standard_normal((60, 3)).astype(np.float32)
VALUE, LABEL = X.sum(axis=1), (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


def wide_and_deep() -> fastnn.Model:
    """Two inputs, one of which two layers read, and two heads."""
    wide, deep = fastnn.Input((3,), name="wide"), fastnn.Input((6,), name="deep")
    x = layers.Dense(8, "relu", name="first")(deep)
    x = layers.Add()([x, layers.Dense(8, "tanh", name="second")(x)])
    x = layers.Concatenate(name="both")([wide, x, deep])
    outputs = {"value": layers.Dense(1)(x), "label": layers.Dense(3, "softmax")(x)}
    return fastnn.Model({"wide": wide, "deep": deep}, outputs)


def compiled(backend: str = "reference") -> fastnn.Model:
    model = wide_and_deep()
    model.compile(
        "adam",
        {"value": "mse", "label": "sparse_categorical_crossentropy"},
        metrics={"label": ["accuracy"], "value": "mae"},
        loss_weights={"value": 0.5},
        backend=load(backend),
    )
    return model


def same(a: Any, b: Any) -> bool:
    return all((x == y).all() for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


class TestModel:
    def test_logs_have_the_names_and_order_of_keras(self) -> None:
        model = compiled()
        history = model.fit({"wide": Z, "deep": X}, {"value": VALUE, "label": LABEL}, epochs=2, verbose=0).history
        assert list(history) == ["label_accuracy", "label_loss", "loss", "value_loss", "value_mae"]
        names = ["loss", "value_loss", "label_loss", "label_accuracy", "value_mae"]
        assert model.metrics_names == names
        result = model.evaluate([X, Z], [LABEL, VALUE], verbose=0)
        by_name = model.evaluate([X, Z], [LABEL, VALUE], verbose=0, return_dict=True)
        assert result == [by_name[name] for name in names]
        np.testing.assert_allclose(result[0], 0.5 * result[1] + result[2], rtol=1e-6)

    def test_inputs_by_name_in_order_and_as_a_frame(self) -> None:
        model = compiled()
        wanted = model.predict({"deep": X, "wide": Z}, verbose=0)
        assert set(wanted) == {"value", "label"} and wanted["label"].shape == (60, 3)
        assert (model.predict([X, Z], verbose=0)["label"] == wanted["label"]).all()
        assert (model([X, Z])["value"] == wanted["value"]).all()
        assert (model.predict_on_batch((X, Z))["value"] == wanted["value"]).all()
        pandas = pytest.importorskip("pandas")
        a, b = fastnn.Input((1,), name="a"), fastnn.Input((1,), name="b")
        columns = fastnn.Model([a, b], layers.Subtract()([a, b]))
        frame = pandas.DataFrame({"b": X[:, 0], "other": "text", "a": X[:, 1]})
        np.testing.assert_array_equal(columns.predict(frame, verbose=0)[:, 0], X[:, 1] - X[:, 0])

    def test_it_fits_its_gradient(self) -> None:
        """Shared layers, merges, slices, numbers, every merging layer, two losses."""
        a, b = fastnn.Input((4,)), fastnn.Input((4,))
        shared = layers.Dense(4, "tanh", kernel_regularizer="l2")
        u, v = shared(a), shared(b)
        merged = [
            layers.Multiply()([u, v]),
            layers.Average()([u, v, a]),
            layers.Maximum()([u, v]),
            layers.Minimum()([u, b]),
            layers.Dot(axes=1)([u, v]),
            layers.Dot(axes=1, normalize=True)([u, v]),
            (2.0 * u - v / 4 + 1.0)[:, 1:3],
            -u * v,
            1.0 - shared(u + v),
        ]
        x = layers.concatenate(merged)
        model = fastnn.Model([a, b], [layers.Dense(2)(x), layers.LayerNormalization()(x)])
        model.compile("sgd", ["mse", "mae"], loss_weights=[1.0, 0.1], backend="reference")
        data = [X[:9, :4], X[9:18, :4]]
        targets = [Z[:9, :2], np.zeros((9, model.output_shape[1][1]))]
        assert gradcheck.check(model, data, targets, [np.ones(9), Z[:9, 0] ** 2])

    def test_weights_of_rows(self) -> None:
        """One array serves all outputs; a list has one for each."""
        results = []
        for weights in (np.arange(60.0), [np.arange(60.0)] * 2, {"value": np.arange(60.0), "label": np.arange(60.0)}):
            model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(2, name="value")])
            twice = fastnn.Model(model.input, [model.output, layers.Dense(1, name="label")(model.input)])
            twice.set_weights([np.full(w.shape, 0.1) for w in twice.get_weights()])
            twice.compile("sgd", "mse", backend="reference")
            results.append(twice.train_on_batch(X, [Z[:, :2], VALUE], sample_weight=weights))
        assert results[0] == results[1] == results[2]
        with pytest.raises(ArgumentError, match=r"class_weight with several outputs .* give sample_weight"):
            compiled().fit([X, Z], [LABEL, VALUE], class_weight={0: 2.0}, verbose=0)

    def test_an_output_without_a_loss_is_not_trained(self) -> None:
        x = fastnn.Input((6,))
        body = layers.Dense(4, "relu")(x)
        model = fastnn.Model(x, [layers.Dense(1, name="a")(body), layers.Dense(1, name="b")(body)])
        model.compile("sgd", {"a": "mse"}, metrics={"a": "mae"}, backend="reference")
        kept = model.get_layer("b").get_weights()
        history = model.fit(X, {"a": VALUE}, verbose=0).history
        assert list(history) == ["a_mae", "loss"] and len(model.predict(X, verbose=0)) == 2
        assert all((a == b).all() for a, b in zip(kept, model.get_layer("b").get_weights(), strict=True))

    def test_summary_says_what_layers_are_called_on(self, capsys: pytest.CaptureFixture[str]) -> None:
        wide_and_deep().summary()
        lines = capsys.readouterr().out.splitlines()
        assert lines[2].endswith("Connected to")
        assert next(line for line in lines if line.startswith("add (Add)")).endswith("first, second")
        assert next(line for line in lines if line.startswith("both (Concatenate)")).endswith("wide, add, deep")

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
    def test_copies_go_on(self, copied: Any) -> None:
        model = compiled()
        model.fit([X, Z], [LABEL, VALUE], verbose=0)
        other = copied(model)
        for one in (model, other):
            one.fit([X, Z], [LABEL, VALUE], verbose=0)
        assert same(model, other) and other.layers[0] is not model.layers[0]

    def test_files_clones_and_json(self, tmp_path: Path) -> None:
        model = compiled()
        model.fit([X, Z], [LABEL, VALUE], verbose=0)
        model.save(tmp_path / "model")
        other = fastnn.load_model(tmp_path / "model", backend="reference")
        for one in (model, other):
            one.fit([X, Z], [LABEL, VALUE], verbose=0)
        assert same(model, other) and other.metrics_names == model.metrics_names
        again = models.model_from_json(model.to_json())
        assert again.get_config() == model.get_config() == models.clone_model(model).get_config()
        again.load_weights(tmp_path / "model")
        assert again.count_params() == model.count_params()

    @every_backend
    def test_every_backend_has_the_bits(self, backend: str) -> None:
        trained = []
        for name in ("reference", backend):
            fastnn.utils.set_random_seed(3)
            model = compiled(name)
            history = model.fit(
                [X, Z], [LABEL, VALUE], epochs=2, batch_size=16, validation_split=0.2, verbose=0
            ).history
            trained.append((history, model.predict([X, Z], verbose=0)["label"], model.get_weights()))
        assert trained[0][0] == trained[1][0] and (trained[0][1] == trained[1][1]).all()
        assert all((a == b).all() for a, b in zip(trained[0][2], trained[1][2], strict=True))


class TestSharedWeights:
    def test_an_encoder_cut_out_of_an_autoencoder(self) -> None:
        x = fastnn.Input((6,))
        code = layers.Dense(2, "tanh", name="code")(x)
        auto = fastnn.Model(x, layers.Dense(6)(code))
        encoder = fastnn.Model(auto.input, auto.get_layer("code").output)
        before = encoder.predict(X, verbose=0)
        auto.compile("adam", "mse", backend="reference")
        auto.fit(X, X, epochs=2, verbose=0)
        after = encoder.predict(X, verbose=0)
        assert (before != after).any()
        kernel, bias = auto.get_layer("code").get_weights()
        np.testing.assert_allclose(after, np.tanh(X @ kernel + bias), rtol=1e-5, atol=1e-6)
        stacked = fastnn.Sequential([encoder, layers.Dense(1)])
        assert np.shares_memory(stacked.weights[0], encoder.weights[0]) and same(encoder, stacked.layers[0])

    @every_backend
    def test_a_gan(self, backend: str) -> None:
        """The discriminator learns only by itself, and the generator only through it."""
        generator = fastnn.Sequential([layers.Dense(8, "relu", input_dim=3), layers.Dense(6)], name="generator")
        critic = fastnn.Sequential([layers.Dense(8, "relu", input_dim=6), layers.Dense(1, "sigmoid")], name="critic")
        critic.compile("adam", "binary_crossentropy", backend=load(backend))
        critic.trainable = False
        gan = fastnn.Model(generator.input, critic(generator.output))
        gan.compile("adam", "binary_crossentropy", backend=load(backend))
        for step in range(1, 4):
            old = critic.get_weights(), generator.get_weights()
            critic.train_on_batch(np.concatenate([X, generator.predict_on_batch(Z)]), np.repeat([1.0, 0.0], 60))
            middle = critic.get_weights()
            gan.train_on_batch(Z, np.ones(60))
            assert all((a != b).any() for a, b in zip(old[0], middle, strict=True))
            assert all((a == b).all() for a, b in zip(middle, critic.get_weights(), strict=True))
            assert all((a != b).any() for a, b in zip(old[1], generator.get_weights(), strict=True))
            assert critic.optimizer.iterations == gan.optimizer.iterations == step  # type: ignore[union-attr]
        critic.fit(X, np.ones(60), verbose=0)  # it was frozen for the other model: nothing is said

    @pytest.mark.parametrize("conditional", [False, True])
    def test_a_gan_is_what_it_was_compiled_as(self, conditional: bool) -> None:
        """In whatever order its models are compiled, or if `trainable` is set for each step, as Keras needs it."""

        def losses(way: str) -> list[Any]:
            a, b, labels = fastnn.Input((6,)), fastnn.Input((3,)), fastnn.Input((1,))
            told = [labels] if conditional else []
            join = layers.Concatenate() if conditional else lambda tensors: tensors[0]
            critic = fastnn.Model([a, *told], layers.Dense(1, "sigmoid")(layers.Dense(8, "tanh")(join([a, *told]))))
            generator = fastnn.Model([b, *told], layers.Dense(6)(layers.Dense(8, "tanh")(join([b, *told]))))
            made = generator([b, *told])
            for half in (critic, generator):
                random = np.random.default_rng(7)
                half.set_weights([random.normal(size=array.shape) for array in half.get_weights()])
            if way != "critic last":
                critic.compile("adam", "binary_crossentropy")
            critic.trainable = False
            gan = fastnn.Model([b, *told], critic([made, *told]))
            gan.compile("adam", "binary_crossentropy")
            if way == "critic last":
                critic.trainable = True
                critic.compile("adam", "binary_crossentropy")
            results, given = [], [np.arange(60) % 3] if conditional else []
            for _ in range(4):
                fake = generator.predict_on_batch([Z, *given])
                if way == "each step":
                    critic.trainable = True
                results += [critic.train_on_batch([X, *given], np.ones(60))]
                results += [critic.train_on_batch([fake, *given], np.zeros(60))]
                if way == "each step":
                    critic.trainable = False
                results += [gan.train_on_batch([Z, *given], np.ones(60))]
            return results

        found = losses("critic first")
        assert found == losses("critic last") == losses("each step") and len(set(found)) == len(found)

    def test_models_that_train_by_turns_on_one_layer(self) -> None:
        """Joining their weights carries the state of optimizers that have trained already."""
        shared = layers.Dense(4, "tanh")
        one = fastnn.Sequential([fastnn.Input((6,)), shared, layers.Dense(1)])
        one.compile("adam", "mse", backend="reference")
        one.fit(X, VALUE, verbose=0)
        alone = copy.deepcopy(one)
        other = fastnn.Sequential([fastnn.Input((6,)), shared, layers.Dense(3, "softmax")])
        other.compile("adam", "sparse_categorical_crossentropy", backend="reference")
        for model in (one, alone):
            model.fit(X, VALUE, verbose=0)
        assert same(one, alone)
        other.fit(X, LABEL, verbose=0)
        assert (one.layers[0].kernel == other.layers[0].kernel).all() and not same(one, alone)

    def test_models_are_layers_to_any_depth(self) -> None:
        inner = fastnn.Sequential([layers.Dense(4, "relu", input_dim=6), layers.BatchNormalization()], name="inner")
        x = fastnn.Input((6,))
        middle = fastnn.Model(x, layers.Dense(2)(inner(x)), name="middle")
        y = fastnn.Input((6,))
        outer = fastnn.Model(y, layers.Add()([middle(y), middle(2.0 * y)]))
        outer.compile("sgd", "mse", backend="reference")
        outer.fit(X, Z[:, :2], verbose=0)
        assert outer.get_layer("middle") is middle and len(outer.get_weights()) == 8
        got = outer.predict(X, verbose=0)
        np.testing.assert_allclose(got, middle.predict(X, verbose=0) + middle.predict(2 * X, verbose=0), rtol=1e-5)
        assert gradcheck.check(outer, X[:8], Z[:8, :2])


def entities(backend: str) -> fastnn.Model:
    """Two columns of class numbers, a row of several, and numbers."""
    city, words, numbers = (
        fastnn.Input((1,), name="city", dtype="int32"),
        fastnn.Input((4,), name="words"),
        fastnn.Input((6,), name="numbers"),
    )
    table = layers.Embedding(7, 3, embeddings_regularizer="l2", name="table")
    parts = [
        layers.Flatten()(table(city)),
        layers.GlobalAveragePooling1D()(table(words)),
        layers.Flatten()(layers.Embedding(9, 2)(city)),
        numbers,
    ]
    model = fastnn.Model([city, words, numbers], layers.Dense(1)(layers.Dense(5, "tanh")(layers.concatenate(parts))))
    model.compile("adam", "mse", backend=load(backend))
    return model


CITY, WORDS = RANDOM.randint(0, 7, 60), RANDOM.randint(0, 7, (60, 4))


class TestEmbedding:
    def test_gradient(self) -> None:
        assert gradcheck.check(entities("reference"), [CITY[:9, None], WORDS[:9], X[:9]], VALUE[:9])

    @every_backend
    def test_bits(self, backend: str) -> None:
        trained = []
        for name in ("reference", backend):
            fastnn.utils.set_random_seed(4)
            model = entities(name)
            model.fit([CITY, WORDS.astype(np.uint8), X], VALUE, epochs=2, batch_size=16, verbose=0)
            trained.append(model)
        assert same(*trained)
        whole = [CITY.astype(np.float64), WORDS.astype(np.float32), X]  # whole floats are class numbers, too
        assert (trained[0].predict(whole, verbose=0) == trained[1].predict([CITY, WORDS, X], verbose=0)).all()

    def test_one_number_a_row(self) -> None:
        model = fastnn.Sequential([fastnn.Input(()), layers.Embedding(7, 3, name="table")])
        assert (model.predict(CITY, verbose=0) == model.get_layer("table").embeddings[CITY]).all()

    @pytest.mark.parametrize("use", ["fit", "predict", "evaluate", "train_on_batch", "predict_on_batch"])
    @pytest.mark.parametrize("wrong", [7, -1, 0.5, np.nan])
    def test_class_numbers_out_of_range(self, use: str, wrong: float) -> None:
        city = CITY.astype(np.float64 if isinstance(wrong, float) else np.int64)
        city[5] = wrong
        data = [city, WORDS, X]
        message = r'X\["city"\] is \S+ at row 5'
        with pytest.raises(ArgumentError, match=message):
            getattr(entities("reference"), use)(*([data] if "predict" in use else [data, VALUE]))

    def test_wrong_embeddings(self) -> None:
        with pytest.raises(ArgumentError, match="mask_zero=True is not supported"):
            layers.Embedding(3, 2, mask_zero=True)
        with pytest.raises(ArgumentError, match="not called on an Input"):
            fastnn.Sequential([layers.Dense(2, input_dim=3), layers.Embedding(3, 2)]).predict(Z, verbose=0)
        with pytest.raises(ArgumentTypeError, match="predict with a model"):
            layers.Embedding(3, 2)(CITY)


class Block(layers.Layer):
    """A layer that composes others."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.inner = [layers.Dense(units, "relu"), layers.Dense(units)]

    def call(self, x: Any) -> Any:
        return x + self.inner[1](self.inner[0](x))


class Residual(fastnn.Model):
    """Blocks in a list, heads in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.first = layers.Dense(8)
        self.blocks = [Block(8) for _ in range(2)]
        self.dropout = layers.Dropout(0.1)
        self.heads = {"value": layers.Dense(1), "label": layers.Dense(3, "softmax")}

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        if training:
            x = self.dropout(x)
        return {name: head(x) for name, head in self.heads.items()}


class TestSubclass:
    @every_backend
    def test_a_residual_net(self, backend: str, tmp_path: Path) -> None:
        fastnn.utils.set_random_seed(2)
        model = Residual()
        model.compile("adam", {"value": "mse", "label": "sparse_categorical_crossentropy"}, backend=load(backend))
        with pytest.raises(fastnn.FastnnError, match="input shape is not known"):
            model.count_params()
        history = model.fit(X, {"value": VALUE, "label": LABEL}, epochs=9, verbose=0).history
        assert set(history) == {"loss", "value_loss", "label_loss"} and history["loss"][8] < history["loss"][0]
        assert [weight.shape[0] for weight in model.get_weights()[:4]] == [6, 8, 8, 8]
        model.save_weights(tmp_path / "weights")
        other = Residual()
        other.build((None, 6))
        other.load_weights(tmp_path / "weights")
        assert (other(X)["label"] == model(X)["label"]).all()
        with pytest.raises(ArgumentError, match="Residual is a class of your own, which no file describes"):
            model.save(tmp_path / "model")

    def test_it_is_a_layer(self) -> None:
        x = fastnn.Input((6,))
        model = fastnn.Model(x, layers.Dense(1)(layers.concatenate(list(Residual()(x).values()))))
        model.compile("sgd", "mse", backend="reference")
        assert model.fit(X, VALUE, verbose=0).history["loss"][0] > 0

    def test_what_cannot_be_traced(self) -> None:
        class Makes(fastnn.Model):
            def call(self, x: Any) -> Any:
                return layers.Dense(2)(x)

        class Steps(fastnn.Model):
            def train_step(self, data: Any) -> None:
                """Never called."""

            def call(self, x: Any) -> Any:
                return x

        with pytest.raises(ArgumentTypeError, match=r"Steps\.train_step would never be called"):
            Steps()

        class Decides(fastnn.Model):
            def call(self, x: Any) -> Any:
                return x if x > 0 else -x

        with pytest.raises(ArgumentError, match=r"Makes: call makes layers of its own \(dense\)"):
            Makes().predict(X, verbose=0)
        with pytest.raises(TypeError, match=r"not supported between|has no values"):
            Decides().predict(X, verbose=0)
        with pytest.raises(fastnn.FastnnError, match="expected symbolic tensors"):
            fastnn.Model()


def merged(kind: str, *arrays: Array) -> Array:
    result: Array = getattr(layers, kind)(list(arrays))
    return result


def test_merging_layers_on_arrays() -> None:
    a, b = X[:5], X[5:10]
    np.testing.assert_array_equal(merged("add", a, b), a + b)
    np.testing.assert_array_equal(merged("subtract", a, b), a - b)
    np.testing.assert_array_equal(merged("multiply", a, b[:, :1]), a * b[:, :1])
    np.testing.assert_array_equal(merged("maximum", a, b), np.maximum(a, b))
    np.testing.assert_array_equal(merged("minimum", a, b), np.minimum(a, b))
    np.testing.assert_array_equal(merged("concatenate", a, b), np.concatenate([a, b], axis=1))
    np.testing.assert_allclose(merged("average", a, b, a), (a + b + a) / 3, rtol=1e-6)
    np.testing.assert_allclose(merged("dot", a, b)[:, 0], (a * b).sum(axis=1), rtol=1e-5)
    parts = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert (layers.GlobalAveragePooling1D()(parts) == parts.mean(axis=1)).all()


def test_a_deep_graph() -> None:
    """No recursion over calls, also where it is copied."""
    x = tensor = fastnn.Input((4,))
    for _ in range(300):
        tensor = layers.Add()([tensor, layers.Dense(4)(tensor)])
    model = fastnn.Model(x, tensor)
    assert pickle.loads(pickle.dumps(model)).count_params() == 300 * 20


x6, x3 = fastnn.Input((6,), name="six"), fastnn.Input((3,), name="three")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: fastnn.Model(x6, layers.Dense(2)(x3)), r'depends on the input "three", which is not among: "six"'),
        (lambda: fastnn.Model(X, layers.Dense(2)(x6)), "Model: inputs is of ndarray, expected symbolic tensors"),  # type: ignore[arg-type]
        (lambda: fastnn.Model(x6, layers.Dense(2)), "it has layers, not tensors: call them"),  # type: ignore[arg-type]
        (lambda: layers.Add()([x6, x3]), r"rows of shapes \(6,\), \(3,\) do not fit"),
        (lambda: layers.Add()(x6), "expected a list of tensors"),
        (lambda: layers.Subtract()([x6, x6, x6]), "called on 3 tensors, expected 2"),
        (lambda: layers.Dense(2)([x6, x6]), "called on 2 tensors, expected one"),
        (lambda: x6 + x3, r"rows of shape \(6,\) and \(3,\) do not fit"),
        (lambda: x6[:, 6], "out of range, it has 6 columns"),
        (lambda: x6[:, [1, 2]], "take columns of the last axis"),
        (lambda: x6 + "a", "expected a symbolic tensor or a number"),
        (lambda: bool(x6), "has no values, so Python cannot decide"),
        (lambda: np.sqrt(x6), "NumPy cannot compute with it|loop of ufunc"),
        (
            lambda: wide_and_deep().predict([Z], verbose=0),
            "x is a list of 1, expected one array for each of the inputs",
        ),
        (lambda: wide_and_deep().predict({"wide": Z}, verbose=0), 'x has no "deep"; the inputs are "deep", "wide"'),
        (lambda: wide_and_deep().predict([X[:5], Z], verbose=0), r'X\["wide"\] has 60 rows, the first input 5'),
        (lambda: compiled().fit([X, Z], [VALUE], verbose=0), "expected one array for each of the outputs label, value"),
        (
            lambda: compiled().fit([X, Z], {"values": VALUE}, verbose=0),
            'y names "values", the outputs are label, value',
        ),
        (lambda: wide_and_deep().compile("sgd", ["mse"] * 3), "expected one for each of the outputs label, value"),
    ],
)
def test_wrong_graphs(wrong: Any, message: str) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError, TypeError), match=message):
        wrong()


def test_embeddings_of_columns_of_an_input() -> None:
    codes = fastnn.Input((3,), dtype="int32")
    tables = [layers.Embedding(4, 2, name="few")(codes[:, 1]), layers.Embedding(9, 3, name="many")(codes[:, -1])]
    model = fastnn.Model(codes, layers.Concatenate()([*tables, codes[:, :1]]))
    X = np.array([[7, 3, 8], [50, 0, 4]])
    few, many = (model.get_layer(name).embeddings for name in ("few", "many"))
    assert (model.predict(X, verbose=0) == np.concatenate([few[X[:, 1]], many[X[:, 2]], X[:, :1]], axis=1)).all()
    with pytest.raises(ArgumentError, match='is 4 at row 1, column 1; Embedding "few"'):
        model.predict([[0, 3, 8], [0, 4, 4]], verbose=0)
