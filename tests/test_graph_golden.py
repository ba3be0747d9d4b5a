"""Graphs against Keras 3.15.1, from the same weights: golden/graphs.json, written by scripts/make_graph_golden.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fastnn
import graph_models

GOLDEN = json.loads((Path(__file__).parent / "golden" / "graphs.json").read_text())["models"]


@pytest.mark.filterwarnings("ignore::fastnn.ModelAdvice")
@pytest.mark.parametrize("name", graph_models.MODELS)
def test_same_as_keras(name: str) -> None:
    """In float64, where all that is left is rounding; that backends have the same bits is for other tests."""
    before = fastnn.config.floatx()
    fastnn.config.set_floatx("float64")
    try:
        mine = graph_models.results(fastnn, name)
    finally:
        fastnn.config.set_floatx(before)
    golden = GOLDEN[name]
    assert list(mine["history"]) == list(golden["history"]) and set(mine["predict"]) == set(golden["predict"])
    for part in ("history", "predict"):
        for key, values in golden[part].items():
            np.testing.assert_allclose(mine[part][key], values, rtol=1e-9, atol=1e-11, err_msg=f"{part} {key}")
    np.testing.assert_allclose(mine["evaluate"], golden["evaluate"], rtol=1e-9, atol=1e-11)
    for number, (mine_w, keras_w) in enumerate(zip(mine["weights"], golden["weights"], strict=True)):
        np.testing.assert_allclose(mine_w, keras_w, rtol=1e-9, atol=1e-11, err_msg=f"weights {number}")
