"""scikit-learn's estimators of multi-layer perceptrons, trained by fastnn: `MLPClassifier`, `MLPRegressor`.

A script that uses those of `sklearn.neural_network` changes its import and runs. Needs the extra `sklearn`.
"""

from __future__ import annotations

from ..core.absent import absent

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "fastnn.estimators needs scikit-learn, which is not installed; from fastnn's checkout it comes with "
        "pip install '.[sklearn]'"
    ) from error

from .classifier import MLPClassifier
from .regressor import MLPRegressor


def __getattr__(name: str) -> object:
    return absent(__name__, name, __all__)


__all__ = ["MLPClassifier", "MLPRegressor"]
