"""A program without a fault, and the faults that can be planted in it, each by the name that must be found."""

from dataclasses import dataclass, field
from typing import Any

from emulated_card.raw import Array, Card

N = 128
EVERY = ("forwards", "backwards", "random")


@dataclass(frozen=True)
class Fault:
    """One change of a program's text.

    Attributes:
        kind: how the fault's text begins; or "bits": only they show it; or "refused": the text is not run.
        changes: (old, new) pairs; each old text must be there once.
        orders: of threads and blocks, in which it shows.
        launch: what is launched otherwise than in the program without fault.
    """

    name: str
    kind: str
    changes: tuple[tuple[str, str], ...] = ()
    orders: tuple[str, ...] = EVERY
    launch: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """A kernel, its launch, and what it gives.

    Attributes:
        arrays: its arguments, in order; the last is the result, unwritten unless `filled`.
    """

    name: str
    text: str
    arrays: tuple[Array, ...]
    expected: Array
    faults: tuple[Fault, ...]
    grid: int = 1
    block: int = N
    shared: int = 0
    cooperative: bool = False
    filled: bool = False

    def mutated(self, fault: Fault) -> str:
        text = self.text
        for old, new in fault.changes:
            assert text.count(old) == 1, (self.name, fault.name, old, text.count(old))
            text = text.replace(old, new)
        return text

    def run(self, card: Card, text: str, **changed: Any) -> Array:
        launch = {
            "grid": self.grid,
            "block": self.block,
            "shared": self.shared,
            "cooperative": self.cooperative,
        } | changed
        kernel = card.kernel(text)
        buffers = [card.array(a) for a in self.arrays[:-1]]
        last = self.arrays[-1]
        buffers.append(card.array(last) if self.filled else card.empty(last))
        card.launch(kernel, arguments=buffers, **launch)
        return buffers[-1].get()
