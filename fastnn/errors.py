"""The exceptions and warnings that fastnn raises: each says where, what was expected, what came, and what to do."""

from __future__ import annotations

from collections.abc import Iterable


class FastnnError(Exception):
    """Base class of every error that fastnn raises on purpose.

    Example:
        >>> import fastnn
        >>> try:
        ...     fastnn.layers.Dense(0)
        ... except fastnn.FastnnError as error:
        ...     print(error)
        ...
        Dense: units is 0, expected a whole number of at least 1
    """


class ArgumentError(FastnnError, ValueError):
    """An argument of the right type has a value that cannot be used."""


class ArgumentTypeError(FastnnError, TypeError):
    """An argument has a type that cannot be used."""


class AbsentError(FastnnError, AttributeError):
    """A name that Keras has and fastnn lacks is used."""


class BackendError(FastnnError, RuntimeError):
    """A backend is not available, or failed."""


class NotBuiltError(FastnnError, RuntimeError):
    """A model is used before it knows its input shape or was compiled, an object before its base class made it."""


class BusyError(FastnnError, RuntimeError):
    """A model is used where it cannot be: in the middle of its own step, by a signal handler that interrupted it."""


class FileError(FastnnError, ValueError):
    """A file is not what it should be."""


class ModelAdvice(UserWarning):
    """A model that runs but probably is not what its author meant.

    Example:
        >>> import fastnn
        >>> import warnings
        >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(1, "softmax")])
        >>> with warnings.catch_warnings(record=True) as told:
        ...     warnings.simplefilter("always")
        ...     model.compile("adam", "binary_crossentropy")
        ...
        >>> print(told[0].category.__name__)
        ModelAdvice
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint such as `; did you mean "relu"?`, or the list of known names where none is near.

    Example:
        >>> import fastnn
        >>> fastnn.errors.nearest("relo", ["relu", "tanh"])
        '; did you mean "relu"?'
    """
    from difflib import get_close_matches

    names = sorted(known)
    lower = {candidate.lower(): candidate for candidate in names}  # capitals sort first, so that small letters win
    matches = get_close_matches(name.lower(), lower, n=1)
    if matches:
        return f'; did you mean "{lower[matches[0]]}"?'
    return f"; known: {', '.join(names)}"
