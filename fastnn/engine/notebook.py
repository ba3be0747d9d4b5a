"""One line in the output of a notebook's cell, which changes in place."""

from __future__ import annotations

import sys
from typing import Any


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this, and what is printed goes to its cell."""
    if not type(sys.stdout).__module__.startswith("ipykernel"):
        return False
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class Notebook:
    """A text that the next one takes the place of."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str) -> bool:
        """Shows it; whether the kernel took it. The work goes on where it did not."""
        from IPython.display import display

        data = {"text/plain": text}
        try:
            if self._handle is None:
                self._handle = display(data, raw=True, display_id=True)
            else:
                self._handle.update(data, raw=True)
        except Exception:  # a front end is a user's too, and may be gone
            return False
        return True
