"""Write tests/golden/graphs.json: trainings of tests/graph_models.py as Keras 3.15.1 on JAX does them, in float64.

Run where keras==3.15.1 and jax are installed: `python tests/scripts/make_graph_golden.py` (a minute).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]

if __name__ == "__main__":
    os.environ |= {"KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"}
    sys.path.insert(0, str(TESTS))
    import keras

    import graph_models

    keras.config.set_floatx("float64")
    # Only under TensorFlow does Keras promote to 64 bits: elsewhere its means are rounded to float32.
    keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    found = {name: graph_models.results(keras, name) for name in graph_models.MODELS}
    text = json.dumps({"keras": keras.__version__, "models": found})
    (TESTS / "golden" / "graphs.json").write_text(
        json.dumps(json.loads(text, parse_float=lambda t: float(f"{float(t):.13g}")))
    )
