"""Pictures: that each is made of what it shows, of every source, in every format. What they look like is for eyes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import diagnostics, layers
from fastnn.callbacks import CSVLogger, History
from fastnn.errors import ArgumentError, ArgumentTypeError, FastnnError
from nets import blobs, classifier, net, wave

plotting: Any = fastnn.plotting  # figures are matplotlib's, with or without its types

X, Y = blobs()


def test_text() -> None:
    """A block of letters with its ends, legend and, where it falls far, a logarithmic axis."""
    series = {"loss": [2.0**-n for n in range(10)], "val_loss": [1.0] * 10}
    lines = plotting.curve(series, width=50, height=9).splitlines()
    assert max(map(len, lines)) <= 50 and len(lines) == 9
    assert lines[0].split()[0] == "1" and lines[5].split()[0] == "0.001953"
    assert (
        lines[5].endswith("*")
        and lines[-1].endswith("* loss   o val_loss   (logarithmic)")
        and lines[-2].endswith("10")
    )
    assert plotting.curve({"loss": [1.0]}) == plotting.curve({}) == plotting.curve({"loss": [math.nan, math.nan]}) == ""
    assert all(line.isascii() for line in lines)


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(FastnnError, match=r'pictures need matplotlib; .*pip install "\.\[plot\]"'):
        plotting.activations()
    history = classifier().fit(X, Y, epochs=3, verbose=0)
    assert "<table>" in history._repr_html_() and "History of 3 epochs: loss " in repr(history)


def test_logs(tmp_path: Path) -> None:
    """Of a History, its dict, a CSV file and a model's metadata: the same."""
    file, model = tmp_path / "log.csv", classifier(metrics=["accuracy"])
    history = model.fit(X, Y, epochs=3, verbose=0, validation_split=0.3, callbacks=[CSVLogger(file)])
    model.metadata["history"] = history.history
    first = plotting.log(history)
    assert list(first) == ["accuracy", "loss", "val_accuracy", "val_loss"] and len(first["loss"]) == 3
    assert first == plotting.log(history.history) == plotting.log(file) == plotting.log(model)
    with pytest.raises(ArgumentError, match="no epochs yet"):
        plotting.log(History())
    with pytest.raises(ArgumentTypeError, match="int holds no results"):
        plotting.log(3)
    (tmp_path / "empty.csv").write_text("epoch\n")
    with pytest.raises(ArgumentError, match="expected a table of results"):
        plotting.log(tmp_path / "empty.csv")


def test_curves(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    history = {"loss": [4.0, 1.0, 0.01], "val_loss": [4.0, 2.0, 3.0], "mae": [1.0, math.nan, 0.5]}
    loss, mae = plotting.curves(history).axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[4, 1, 0.01], [4, 2, 3], [2.0]]
    assert loss.get_yscale() == "log" and loss.lines[2].get_label() == "best: epoch 2"
    assert (loss.get_title(), mae.get_title(), mae.get_yscale()) == ("loss", "mae", "linear")
    for name, start in (("a.png", b"\x89PNG"), ("a.SVG", b"<?xml"), ("a.pdf", b"%PDF")):
        plotting.curves(history, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    again = (tmp_path / "a.SVG").read_bytes()
    plotting.curves(history, tmp_path / "a.SVG")
    assert (tmp_path / "a.SVG").read_bytes() == again
    with pytest.raises(ArgumentError, match=r"'a\.gif', expected a name in \.png"):
        plotting.curves(history, "a.gif")
    assert plotting.curves(history)._repr_html_().startswith("<svg")


def test_activations() -> None:
    """The slopes are those of the textbooks: 0.25 and 1 can be read off."""
    pytest.importorskip("matplotlib")
    panels = plotting.activations(["sigmoid", "tanh", "relu", "elu"]).axes
    most = [max(panel.lines[-1].get_ydata()) for panel in panels]
    np.testing.assert_allclose(most, [0.25, 1.0, 1.0, 1.0], atol=1e-4)
    assert 0.25 in panels[0].get_yticks() and "at most 0.25" in panels[0].get_legend().get_texts()[1].get_text()
    with pytest.raises(ArgumentError, match="softmax needs a whole row"):
        plotting.activations("softmax")
    with pytest.raises(ArgumentError, match="silly"):
        plotting.activations("silly")


def test_weights_and_health() -> None:
    pytest.importorskip("matplotlib")
    model, watch = classifier(), diagnostics.GradientHealth(X, Y)
    with pytest.raises(ArgumentError, match="nothing was looked at"):
        plotting.health(watch)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[watch])
    assert [panel.get_title() for panel in plotting.weights(model).axes] == ["dense", "dense_1"]
    with pytest.raises(ArgumentError, match="there are no weights"):
        plotting.weights(fastnn.Sequential([layers.Flatten()]))
    gradients = plotting.health(watch).axes[0]
    assert gradients.lines[0].get_ydata()[-1] == watch.health.layers[0].gradients and len(gradients.lines) == 2
    (line,) = plotting.health(watch.health).axes[0].lines
    assert line.get_ydata().tolist() == [layer.gradients for layer in watch.health.layers]


def test_outcomes() -> None:
    pytest.importorskip("matplotlib")
    picture = plotting.confusion([[8, 2], [0, 10]], ["cats", "a very long name of dogs"])
    texts = [text.get_text() for text in picture.axes[0].texts]
    assert texts == ["8", "2", "10"] and picture.axes[0].get_title() == "90.0% are right"
    assert picture.axes[0].get_yticklabels()[1].get_text() == "a very long n…"
    scattered = plotting.predictions(wave(30), wave(30, 1) + 0.5, "km").axes[0]
    assert scattered.get_title() == "off by 0.5 in the mean" and scattered.get_xlabel() == "true km"
    for wrong in ([[1, 2]], [1, 2]):
        with pytest.raises(ArgumentError, match="expected \\(classes, classes\\)"):
            plotting.confusion(wrong)
    with pytest.raises(ArgumentError, match="3 values of y and 2 predictions"):
        plotting.predictions([1, 2, 3], [1, 2])


def test_reprs() -> None:
    """Models, trainings and checks of gradients say what they are, and are tables in a notebook."""
    model = net(layers.Dense(3, "relu"), layers.Dense(1))
    assert repr(model) == '<Sequential "sequential": 2 layers, 19 parameters>'
    assert repr(fastnn.Sequential([layers.Dense(1)])) == '<Sequential "sequential": 1 layer, not built>'
    assert "<td>dense_1 (Dense)</td><td>(None, 1)</td><td>4</td>" in model._repr_html_()
    assert "<td>dense/kernel</td><td>4 x 3</td><td>12</td><td>yes</td>" in model.layers[0]._repr_html_()
    assert "units=2" in (alone := layers.Dense(2)._repr_html_()) and "<table" not in alone
    history = History()
    for epoch, loss in enumerate([3.0, 1.0, 2.0]):
        history.on_epoch_end(epoch, {"loss": loss})
    assert repr(history) == "History of 3 epochs: loss 2 (least 1 in epoch 2)"


def test_costs(capsys: Any) -> None:
    """Of a network that can be counted by hand: two products forward, four backward less one, to X."""
    model = net(layers.Dense(2, use_bias=False), layers.Dense(5, use_bias=False), features=3)
    model.summary(costs=10)
    text = capsys.readouterr().out
    first, second = (line.split() for line in text.splitlines()[4:6])
    flops = {"dense": (2 * 10 * 3 * 2, 2 * 10 * 3 * 2), "dense_1": (2 * 10 * 2 * 5, 4 * 10 * 2 * 5)}
    for line, (forward, backward) in zip((first, second), flops.values(), strict=True):
        assert [line[5], line[6]] == [str(forward), str(backward)], line
    loss = 20 * 10 * 5
    passes = (sum(f + b for f, b in flops.values()) + 2 * loss) / (sum(f for f, _ in flops.values()) + loss)
    assert f"A gradient costs {passes:.1f} forward passes; by finite differences it would take 17" in text
