"""Writes fastnn/core/keras_names.py: the public names of Keras, which must be installed, by namespace.

    KERAS_BACKEND=jax python tests/scripts/make_keras_names.py

Names that Keras 3 has for TensorFlow's users alone are in it, too, and some that Keras 2 had.
"""

from __future__ import annotations

import importlib
import inspect
import textwrap
from pathlib import Path

FILE = Path(__file__).parents[2] / "fastnn" / "core" / "keras_names.py"
ROOTS = ("keras", "keras._tf_keras.keras")
# Of Keras 2, in scripts that are still around.
EARLIER = {
    "": "estimator experimental premade",
    "callbacks": "ExperimentalWriter",
    "layers": "AbstractRNNCell CuDNNGRU CuDNNLSTM DenseFeatures LocallyConnected1D LocallyConnected2D "
    "SyncBatchNormalization",
    "layers.experimental": "EinsumDense RandomFourierFeatures SyncBatchNormalization",
    "layers.experimental.preprocessing": "CategoryEncoding CenterCrop Discretization Hashing IntegerLookup "
    "Normalization RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom Rescaling Resizing "
    "StringLookup TextVectorization",
    "mixed_precision.experimental": "LossScaleOptimizer Policy set_policy",
    "models": "load_from_json model_from_yaml",
    "optimizers.experimental": "Adadelta Adagrad Adam AdamW Adamax Ftrl Nadam RMSprop SGD",
    "optimizers.legacy": "Adadelta Adamax Nadam",
    "optimizers.schedules": "LinearCosineDecay NoisyLinearCosineDecay",
    "preprocessing.image": "apply_affine_transform",
    "utils": "GeneratorEnqueuer HDF5Matrix OrderedEnqueuer SequenceEnqueuer SidecarEvaluator experimental "
    "multi_gpu_model np_utils",
    "wrappers.scikit_learn": "BaseWrapper KerasClassifier KerasRegressor",
}

HEAD = '''"""The public names of Keras {version}, by namespace: made by tests/scripts/make_keras_names.py."""

from __future__ import annotations

_TEXT = """
{text}
"""

NAMES: dict[str, frozenset[str]] = {{
    namespace.strip(): frozenset(names.split())
    for namespace, _, names in (entry.partition(":") for entry in _TEXT.replace("\\n ", " ").strip().split("\\n"))
}}
'''


def collect(root: str) -> dict[str, set[str]]:
    """The names of each namespace below a package; modules that are none of its own API are left out."""
    found: dict[str, set[str]] = {}
    waiting = [""]
    while waiting:
        namespace = waiting.pop()
        module = importlib.import_module(f"{root}.{namespace}".rstrip("."))
        names = found.setdefault(namespace, set())
        for name in dir(module):
            value = getattr(module, name)
            if name.startswith("_") or (name == "src" and not namespace):
                continue
            if inspect.ismodule(value):
                if not value.__name__.startswith(root):
                    continue
                waiting.append(f"{namespace}.{name}".lstrip("."))
            names.add(name)
    return found


def text(names: dict[str, set[str]]) -> str:
    """A paragraph for each namespace."""
    lines = [f"{namespace}: {' '.join(sorted(names[namespace]))}" for namespace in sorted(names)]
    return "\n".join(textwrap.fill(line, 118, subsequent_indent="    ", break_on_hyphens=False) for line in lines)


def main() -> None:
    import keras

    everything: dict[str, set[str]] = {}
    for namespace, names in EARLIER.items():
        everything[namespace] = set(names.split())
    for root in ROOTS:
        for namespace, found in collect(root).items():
            everything.setdefault(namespace, set()).update(found)
    for namespace in list(everything):  # each is a name of the one above it
        above, _, name = namespace.rpartition(".")
        if name:
            everything.setdefault(above, set()).add(name)
    FILE.write_text(HEAD.format(version=keras.__version__, text=text(everything)), encoding="utf-8")


if __name__ == "__main__":
    main()
