"""Where the values of a plan and their gradients lie in the workspace.

Every value has one buffer of rows; an activation that may overwrite its source shares the source's. Where no gradient
follows, a buffer is that of another value as soon as nothing reads the one that it held; one of equal rows, since each
thread of a team has its own rows, and is ahead of others or behind. The gradient of a value is a buffer too. An
instruction that reads the gradient of its output last may write that of its source there; one whose sources have the
gradient of its output, such as a sum, gives it on as it is. Where several instructions read a value, each makes a
gradient of its own, and a FAN behind the value for each but the first adds them: (g1 + g2) + g3.

A part of a joined value that nothing else reads lies in the rows of the joined one, where its instruction writes it and
reads its gradient: only other parts are copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .binary import BINARY
from .instructions import INSTRUCTIONS
from .plan import ACTIVATION_CODE, Column, Fused, Kind, padded

# Whose output may be some columns of wider rows, and the gradient of their output.
_WRITES_PARTS = (Kind.DENSE, Kind.ACTIVATION, Kind.EMBEDDING)


@dataclass(eq=False)
class Value:
    """What instructions read and write: so many columns in each row; `unit` says where, once it is known. A part of a
    `joined` value is the columns of its rows from `offset` on."""

    index: int
    width: int
    unit: int = -1
    joined: Value | None = None
    offset: int = 0

    @property
    def whole(self) -> int:
        """The width of its rows."""
        return self.width if self.joined is None else self.joined.width

    @property
    def place(self) -> list[int]:
        """A row of `plan.InputEntry`."""
        return [self.unit, self.width, self.whole, self.offset]


@dataclass
class Step:
    """An instruction before its buffers are known; `saved` says what its derivative reads, see `Lowering._emit`."""

    row: list[int]
    sources: tuple[Value, ...]
    output: Value
    saved: str

    @property
    def kind(self) -> Kind:
        return Kind(self.row[Column.KIND])


@dataclass
class _Gradient:
    """A buffer that holds the gradient of a value, or a part of it; `readers` have not read it yet, and the parameter
    phase reads one that is `reserved`. That of a part of a joined value lies in wider rows."""

    unit: int
    readers: int = 0
    reserved: bool = False
    whole: int = 0
    offset: int = 0

    @property
    def free(self) -> bool:
        """Whether its one reader may write there."""
        return self.readers == 1 and not self.reserved


@dataclass
class _Fan:
    """Adds two gradients."""

    unit: int
    second: int
    total: int


@dataclass
class Buffers:
    """The buffers of a plan, and how many elements they take of each row.

    Attributes:
        units: elements of a row. keeps: whether a gradient follows, which reads all values.
        numbers: of each step, its place among the instructions, once `rows` was called.
    """

    values: Sequence[Value]
    steps: Sequence[Step]
    inputs: Sequence[Value]
    itemsize: int
    watched: set[int] = field(default_factory=set)  # values whose gradients stay in the workspace
    units: int = 0
    keeps: bool = True
    numbers: dict[int, int] = field(default_factory=dict)
    _fans: dict[int, list[_Fan]] = field(default_factory=dict)  # by the step behind which they stand
    _producers: dict[int, int] = field(default_factory=dict)  # of a value: the last step that writes it
    _readers: list[int] = field(default_factory=list)  # of a value: how many there are
    _free: dict[int, list[int]] = field(default_factory=dict)  # by their padded widths: units that nothing reads

    def new(self, width: int) -> int:
        """The unit of another buffer."""
        if free := self._free.get(padded(width)):
            return free.pop()
        unit = self.units
        self.units += padded(width)
        return unit

    def _end(self, width: int, unit: int) -> None:
        """Nothing reads what a buffer holds any more."""
        self._free.setdefault(padded(width), []).append(unit)

    def forward(self, outputs: Sequence[Value], activations: Mapping[int, str]) -> None:
        """Gives each value a buffer. `activations`: of the outputs that have losses, by their numbers, the activation
        that such a loss takes along, or ""."""
        self._readers = readers = [0] * len(self.values)
        for value in (*outputs, *(source for step in self.steps for source in step.sources)):
            readers[value.index] += 1
        self._producers = {step.output.index: index for index, step in enumerate(self.steps)}
        for index, activation in activations.items():
            self._fuse(outputs[index], activation, readers)
        for step in self.steps:
            if step.kind == Kind.JOIN:
                self._lay_out(step, readers)
        for value in self.inputs:
            value.unit = self._unit(value)
        for step in self.steps:
            row, output = step.row, step.output
            if step.kind == Kind.LAYER_NORM:
                row[Column.INVERSE] = self.new(1)
            if output.unit < 0:  # else it is another part of a joined value
                in_place = self._in_place(step, readers)
                output.unit = step.sources[0].unit if in_place else self._unit(output)
            row[Column.DST] = output.unit
            if output.joined is not None:
                row[Column.WHOLE], row[Column.OFFSET] = output.whole, output.offset
            for column, source in zip((Column.SRC, Column.SECOND), step.sources, strict=False):
                row[column] = source.unit
            if step.saved:
                saved = {"input": row[Column.SRC], "output": output.unit}
                row[Column.SAVED] = self.new(output.width) if step.saved == "own" else saved[step.saved]
            if not self.keeps:
                self._end_step(step, readers)
        self._free.clear()  # targets are there before the first instruction

    def _end_step(self, step: Step, readers: list[int]) -> None:
        """Gives up what an instruction alone used, and sources that it was the last to read: the loss, too, reads that
        of an instruction that it takes along."""
        if step.kind == Kind.LAYER_NORM:
            self._end(1, step.row[Column.INVERSE])
        if step.saved == "own":
            self._end(step.output.width, step.row[Column.SAVED])
        for source in () if step.row[Column.FUSED] else step.sources:
            readers[source.index] -= 1
            if readers[source.index] == 0 and source.unit != step.output.unit:
                self._end(source.width, source.unit)

    def _unit(self, value: Value) -> int:
        """The unit of a value's buffer, or of the joined value that it is a part of."""
        if value.joined is None:
            return self.new(value.width)
        if value.joined.unit < 0:
            value.joined.unit = self.new(value.joined.width)
        return value.joined.unit

    def _lay_out(self, step: Step, readers: Sequence[int]) -> None:
        """Has the source of a JOIN lie in the rows of the joined value, if nothing else wants it, and what makes it
        can write there."""
        part, joined = step.sources[0], step.output
        maker = self._maker(part)
        if readers[part.index] > 1 or self.watched & {part.index, joined.index}:
            return
        parts = [part]
        if maker is None:
            if part not in self.inputs:
                return
        elif maker.kind not in _WRITES_PARTS:
            return
        elif self._in_place(maker, readers):
            under = maker.sources[0]
            before = self._maker(under)
            if before is None or before.kind not in _WRITES_PARTS:
                return
            parts.append(under)
        for value in parts:
            value.joined, value.offset = joined, step.row[Column.OFFSET]

    def _maker(self, value: Value) -> Step | None:
        """The last step that writes a value."""
        index = self._producers.get(value.index)
        return None if index is None else self.steps[index]

    def _fuse(self, output: Value, activation: str, readers: Sequence[int]) -> None:
        """Has the loss read the source of the instruction that makes an output, if that is this activation and nothing
        else reads the output."""
        index = self._producers.get(output.index)
        if not activation or index is None or readers[output.index] > 1:
            return
        step = self.steps[index]
        if activation == "softmax" and step.kind == Kind.SOFTMAX:
            step.row[Column.FUSED] = Fused.BOTH
        elif step.kind == Kind.ACTIVATION and step.row[Column.CODE] == ACTIVATION_CODE.get(activation):
            step.row[Column.FUSED] = Fused.GRADIENT

    def fused(self, output: Value) -> Step | None:
        """The activation that the loss of an output takes along."""
        index = self._producers.get(output.index)
        return self.steps[index] if index is not None and self.steps[index].row[Column.FUSED] else None

    def _in_place(self, step: Step, readers: Sequence[int]) -> bool:
        """Whether an activation writes over its source: where its derivative reads the output, nothing else reads the
        source, and what made it does not read its own output."""
        if step.kind != Kind.ACTIVATION or step.row[Column.FUSED] or readers[step.sources[0].index] > 1:
            return False
        return step.saved == "output" and self._overwritable(step.sources[0])

    def _overwritable(self, value: Value) -> bool:
        """Whether no derivative of what made a value, or a part that lies in its rows, reads it."""
        maker = self._maker(value)
        if maker is None or not INSTRUCTIONS[maker.kind].overwritable:
            return False
        makers = [self._maker(other) for other in self.values if other.joined is value]
        return all(other is None or INSTRUCTIONS[other.kind].overwritable for other in makers)

    def backward(self, ends: Sequence[tuple[Value, int]], trained: set[int]) -> None:
        """Gives each gradient a buffer, from the last instruction to the first.

        Args:
            ends: the outputs that have losses, and the units where a loss leaves its gradient.
            trained: numbers of the steps with parameters to train.
        """
        needed = self._needed(trained)
        # Of each value the first step that writes it: all parts of a joined one read its gradient.
        firsts: dict[int, int] = {}
        for index, step in enumerate(self.steps):
            firsts.setdefault(step.output.index, index)
        parts: dict[int, list[_Gradient]] = {}  # of each value, by its readers from the last to the first
        for value, unit in reversed(ends):
            fused = self.fused(value)
            to = value if fused is None else fused.sources[0]
            parts.setdefault(to.index, []).append(_Gradient(unit, 1))
        for index in range(len(self.steps) - 1, -1, -1):
            step = self.steps[index]
            if step.row[Column.FUSED] or step.output.index not in needed or step.output.index not in parts:
                continue
            gradient = self._whole(step.output, parts)
            step.row[Column.GRAD_DST] = gradient.unit
            if gradient.whole:
                step.row[Column.GRAD_WHOLE], step.row[Column.GRAD_OFFSET] = gradient.whole, gradient.offset
            gradient.reserved = gradient.reserved or index in trained
            self._give(step, gradient, needed, parts)
            if firsts[step.output.index] == index:
                gradient.readers -= 1

    def _needed(self, trained: set[int]) -> set[int]:
        """The values whose gradients somebody wants."""
        needed: set[int] = set()
        for index, step in enumerate(self.steps):
            if index in trained or any(source.index in needed for source in step.sources):
                needed.add(step.output.index)
        return needed

    def _whole(self, value: Value, parts: dict[int, list[_Gradient]]) -> _Gradient:
        """The gradient of a value: the sum of its parts, which FANs behind its instruction make."""
        several = parts[value.index]
        while len(several) > 1:
            first, second = several.pop(), several.pop()
            target = next((part for part in (first, second) if part.free), None) or _Gradient(self.new(value.width), 1)
            fan = _Fan(first.unit, second.unit, target.unit)
            self._fans.setdefault(self._producers[value.index], []).append(fan)
            for part in (first, second):
                if part is not target:
                    part.readers -= 1
            several.append(target)
        return several[0]

    def _give(self, step: Step, gradient: _Gradient, needed: set[int], parts: dict[int, list[_Gradient]]) -> None:
        """The gradients that an instruction makes of its sources, from that of its output."""
        columns = (Column.GRAD_SRC, Column.GRAD_SECOND)
        wanted = [
            (column, source) for column, source in zip(columns, step.sources, strict=False) if source.index in needed
        ]
        for column, source in wanted:
            if step.kind == Kind.JOIN and source.joined is step.output:
                reserved = not gradient.free
                made = _Gradient(gradient.unit, 1, reserved, step.output.width, source.offset)
                parts.setdefault(source.index, []).append(made)
                continue
            if step.kind == Kind.DENSE:
                self._limit(step, needed)
            if self._passes(step, column):
                gradient.readers += 1
                parts.setdefault(source.index, []).append(gradient)
                continue
            last = (column, source) == wanted[-1]
            # What makes the source must be able to read it there.
            fits = not gradient.whole or source.joined is step.output.joined
            if last and gradient.free and fits and not self._own_gradient(step):
                gradient.readers += 1
                made = gradient
            else:
                made = _Gradient(self.new(source.width), 1)
            step.row[column] = made.unit
            if step.kind == Kind.DROPOUT:
                words = -(-step.row[Column.OUTPUTS] // 64)
                step.row[Column.SAVED] = self.new(words * 8 // self.itemsize)
            parts.setdefault(source.index, []).append(made)

    def _limit(self, step: Step, needed: set[int]) -> None:
        """Says which columns of the gradient of its source a DENSE must make: of a joined value that it alone reads,
        those from the first to the last part that wants one."""
        value = step.sources[0]
        joins = [other for other in self.steps if other.output is value and other.kind == Kind.JOIN]
        if not joins or self._readers[value.index] > 1 or value.index in self.watched:
            return
        spans = [
            (other.row[Column.OFFSET], other.row[Column.OFFSET] + other.sources[0].width)
            for other in joins
            if other.sources[0].index in needed
        ]
        first, last = min(start for start, _ in spans), max(stop for _, stop in spans)
        step.row[Column.GRAD_FIRST], step.row[Column.GRAD_COLUMNS] = first, last - first

    def _own_gradient(self, step: Step) -> bool:
        return INSTRUCTIONS[step.kind].own_gradient

    def _passes(self, step: Step, column: Column) -> bool:
        """Whether the gradient of a source is that of the output."""
        if step.kind != Kind.BINARY:
            return False
        row = list(BINARY.values())[step.row[Column.CODE]]
        return (row.left if column == Column.GRAD_SRC else row.right) is None

    def rows(self) -> list[list[int]]:
        """The instruction table."""
        made: list[list[int]] = []
        for index, step in enumerate(self.steps):
            self.numbers[index] = len(made)
            if step.kind != Kind.JOIN or step.sources[0].joined is not step.output:  # else there is nothing to do
                made.append(step.row)
            for fan in reversed(self._fans.get(index, [])):
                row = [-1] * Column.WIDTH
                row[Column.KIND], row[Column.FUSED], row[Column.LAYER] = Kind.FAN, Fused.NONE, step.row[Column.LAYER]
                row[Column.SRC] = row[Column.DST] = row[Column.SAVED] = step.output.unit
                row[Column.INPUTS] = row[Column.OUTPUTS] = step.output.width
                row[Column.WHOLE] = row[Column.GRAD_WHOLE] = step.output.width
                row[Column.OFFSET] = row[Column.GRAD_OFFSET] = 0
                row[Column.GRAD_DST], row[Column.GRAD_SECOND], row[Column.GRAD_SRC] = fan.unit, fan.second, fan.total
                made.append(row)
        return made
