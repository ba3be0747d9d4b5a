"""Layers: names, hyper-parameters and shapes. In a model, a layer is also a view of its part of the model's weights."""

from __future__ import annotations

from typing import NoReturn

from ..core.declaration import names
from .activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from .core import Dense, Dropout, Flatten, Reshape
from .embedding import Embedding, GlobalAveragePooling1D
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
UNSUPPORTED = names(
    "ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D "
    "AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D AdditiveAttention AlphaDropout Attention "
    "AugMix AutoContrast AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D "
    "Bidirectional CategoryEncoding CenterCrop ContrastLimitedAdaptiveHistogramEqualization Conv1D "
    "Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D "
    "Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D "
    "Cropping2D Cropping3D CuDNNGRU CuDNNLSTM CutMix DenseFeatures DepthwiseConv1D DepthwiseConv2D Discretization "
    "EinsumDense Equalization FlaxLayer GRU GRUCell GaussianDropout GaussianNoise "
    "GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D "
    "GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D "
    "GlobalMaxPooling3D GroupNormalization GroupQueryAttention HashedCrossing Hashing Identity InputSpec "
    "IntegerLookup JaxLayer LSTM LSTMCell Lambda LocallyConnected1D LocallyConnected2D Masking MaxNumBoundingBoxes "
    "MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D MelSpectrogram MixUp "
    "MultiHeadAttention Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness "
    "RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing "
    "RandomFlip RandomGaussianBlur RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective "
    "RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomWidth "
    "RandomZoom RepeatVector Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D "
    "SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell Solarization SpatialDropout1D "
    "SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup TFSMLayer "
    "TextVectorization ThresholdedReLU TimeDistributed TorchModuleWrapper UpSampling1D UpSampling2D UpSampling3D "
    "Wrapper ZeroPadding1D ZeroPadding2D ZeroPadding3D deserialize experimental serialize"
)


def __getattr__(name: str) -> NoReturn:
    if name in UNSUPPORTED:
        raise AttributeError(f"layers.{name} of Keras is not supported; there are {', '.join(CLASSES)} and Input")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
