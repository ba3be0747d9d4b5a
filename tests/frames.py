"""What pandas looks like from outside, for tests that run without it."""

from __future__ import annotations

from typing import Any

import numpy as np

from nets import Array


class Series:
    """What a pandas series looks like from outside."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def to_numpy(self, dtype: Any = None, na_value: Any = None) -> Array:
        return (
            np.asarray([na_value if v is None else v for v in self.values], dtype) if dtype else np.asarray(self.values)
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.to_numpy(), dtype)


class Frame:
    """What a pandas data frame looks like from outside."""

    def __init__(self, **columns: Any) -> None:
        self.data = columns
        self.columns = list(columns)

    def __getitem__(self, label: str) -> Series:
        return Series(self.data[label])

    def to_numpy(self) -> Array:
        kinds = {np.asarray(values).dtype for values in self.data.values()}
        return np.array([*zip(*self.data.values(), strict=True)], object if len(kinds) > 1 else None)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.to_numpy(), dtype)
