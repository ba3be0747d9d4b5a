"""Layers: names, hyper-parameters and shapes. In a model, a layer is also a view of its part of the model's weights."""

from __future__ import annotations

from typing import Any

from ..core.absent import absent
from .activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from .core import Dense, Dropout, Flatten, Reshape
from .embedding import Embedding, GlobalAveragePooling1D
from .function import Lambda
from .input import Input, InputLayer
from .layer import Layer, Rules, Shape
from .merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .normalization import BatchNormalization, LayerNormalization
from .preprocessing import Normalization, Rescaling
from .rowwise import PReLU, UnitNormalization

CLASSES: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        Dense,
        Activation,
        Dropout,
        Flatten,
        Reshape,
        BatchNormalization,
        LayerNormalization,
        Normalization,
        Rescaling,
        ReLU,
        LeakyReLU,
        ELU,
        Softmax,
        PReLU,
        UnitNormalization,
        InputLayer,
        Add,
        Subtract,
        Multiply,
        Average,
        Maximum,
        Minimum,
        Concatenate,
        Dot,
        Embedding,
        GlobalAveragePooling1D,
    )
}


def __getattr__(name: str) -> Any:
    return absent(__name__, name, [*CLASSES, "Input"])


__all__ = [
    "ELU",
    "Activation",
    "Add",
    "Average",
    "BatchNormalization",
    "Concatenate",
    "Dense",
    "Dot",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePooling1D",
    "Input",
    "InputLayer",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Rules",
    "Shape",
    "Softmax",
    "Subtract",
    "UnitNormalization",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]
