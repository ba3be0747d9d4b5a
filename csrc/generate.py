"""Writes the C headers that come from the package's own texts: the constants, and the formulas as vector functions.

`python csrc/generate.py FOLDER` writes `constants.h`, `prepare.h`, lists of what there is, such as `activations.h`, and
formulas by dtype, such as `formulas_f32.h`, there. `arithmetic.py`, `binary.py`, `formulas.py`, `losses.py`,
`rowwise.py` and `steps.py` of `core/` are run over an algebra that prints C; enumerations and plain numbers of the
other files are read from their syntax: building needs nothing but Python.
"""

from __future__ import annotations

import ast
import importlib
import runpy
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # where Python has a safe path, it is not there

from expressions import CAlgebra, ScalarAlgebra, Value

PACKAGE = Path(__file__).resolve().parents[1] / "fastnn"
SUFFIX = {"float32": "f32", "float64": "f64"}

# (file, class, prefix of its C names)
ENUMS = (
    ("core/plan.py", "Kind", "KIND"),
    ("core/plan.py", "Column", "COLUMN"),
    ("core/plan.py", "Fused", "FUSED"),
    ("core/instructions.py", "Slot", "SLOT"),
    ("core/plan.py", "Role", "ROLE"),
    ("core/plan.py", "ParameterEntry", "PARAMETER"),
    ("core/plan.py", "InputEntry", "INPUT_ENTRY"),
    ("core/plan.py", "MetricEntry", "METRIC_ENTRY"),
    ("core/plan.py", "LossEntry", "LOSS_ENTRY"),
    ("core/plan.py", "OptimizerEntry", "OPTIMIZER_ENTRY"),
    ("core/plan.py", "Clip", "CLIP"),
    ("core/plan.py", "Scalar", "SCALAR"),
    ("core/plan.py", "Counter", "COUNTER"),
    ("core/plan.py", "Phase", "PHASE"),
    ("core/operations.py", "Family", "FAMILY"),
    ("core/random.py", "Purpose", "PURPOSE"),
)
# (file, name)
NUMBERS = (
    ("core/plan.py", "ROW_PAD"),
    ("core/plan.py", "ROW_ALIAS"),
    ("core/plan.py", "SUM_LOSS"),
    ("core/plan.py", "SUM_COUNT"),
    ("core/plan.py", "DEVIATION_CODE"),
    ("core/random.py", "ROUNDS"),
    ("core/random.py", "MULTIPLIERS"),
    ("core/random.py", "WEYL"),
    ("core/arithmetic.py", "K_CHUNK"),
    ("core/arithmetic.py", "LANES"),
    ("core/arithmetic.py", "BLOCK"),
)
TUNING = PACKAGE / "backends" / "tuning.py"


def function(
    dtype: str, name: str, arguments: tuple[str, ...], formula: Callable[..., Any], sums: int | None = None
) -> str:
    """A C function of vectors, and of an array of so many sums; `formula(o, *values)` gives its result."""
    o = CAlgebra(dtype)
    result = formula(o, *(Value(o, "V", text) for text in (*arguments, *(f"s[{n}]" for n in range(sums or 0)))))
    kinds = dict.fromkeys(arguments, "V ") | ({} if sums is None else {"s": "const V *"})
    parameters = ", ".join(kind + argument for argument, kind in kinds.items())
    unused = [f"(void){argument};" for argument in kinds]
    body = "\n    ".join([*unused, *o.lines, f"return {o.operand('V', result)};"])
    return f"INLINE V FN({name})({parameters})\n{{\n    {body}\n}}\n"


def loss_functions(dtype: str, name: str, loss: Any) -> list[str]:
    """A loss in C: the lane of its sum `number` after an element, the value of a row, the slope."""
    element, count = ("lane", "a", "y", "p"), len(loss.sums)
    calls = [f"FN({name}_sum_{number})({', '.join(element)}, s)" for number in range(count)]
    chosen = "".join(f"number == {number} ? {call} : " for number, call in enumerate(calls[:-1])) + calls[-1]
    parameters = ", ".join(["int number", *(f"V {argument}" for argument in element), "const V *s"])
    return [
        *(function(dtype, f"{name}_sum_{n}", element, step, n) for n, (step, _) in enumerate(loss.sums)),
        f"INLINE V FN({name}_sum)({parameters})\n{{\n    (void)number;\n    return {chosen};\n}}\n",
        function(dtype, f"{name}_value", (), loss.value or (lambda o, total: total), count),
        function(dtype, f"{name}_slope", element[1:], loss.slope, count if loss.value else 0),
    ]


def step_function(dtype: str, name: str, optimizer: Any) -> str:
    """A C function that changes theta and the slots in place."""
    o = CAlgebra(dtype)
    slots = tuple(Value(o, "V", f"s[{number}]") for number in range(len(optimizer.slots)))
    scalars = tuple(Value(o, "V", f"h[{number}]") for number in range(len(optimizer.scalars)))
    theta, after = optimizer.step(o, Value(o, "V", "*theta"), slots, Value(o, "V", "g"), scalars)
    stores = [f"{slot.text} = {value.text};" for slot, value in zip(slots, after, strict=True)]
    body = "\n    ".join(["(void)s;", *o.lines, f"*theta = {theta.text};", *stores])
    return f"INLINE void FN({name}_step)(V *theta, V *s, V g, const V *h)\n{{\n    {body}\n}}\n"


def row_functions(dtype: str, name: str, layer: Any, row: Callable[..., Any]) -> str:
    """The C functions of a layer of `rowwise.py`: its formulas, and what adds an element to the lanes of its sums."""
    made = []
    ways: tuple[Any, ...] = (
        ("forward", layer.forward, layer.forward_sums, ("x",)),
        ("backward", layer.backward, layer.backward_sums, ("d", "x")),
    )
    for way, formula, terms, names in ways:
        o = CAlgebra(dtype)

        def values(kind: str, count: int, o: CAlgebra = o) -> tuple[Value, ...]:
            return tuple(Value(o, "V", f"row->{kind}[{number}]") for number in range(count))

        vectors, constants = values("vector", len(layer.vectors)), values("constant", len(layer.constants))
        read = row(Value(o, "V", "row->maximum"), values("sum", len(terms)), vectors, constants)
        elements = [Value(o, "V", element) for element in names]
        result = o.operand("V", formula(o, *elements, read))
        body = "\n    ".join(["(void)d, (void)row;", *o.lines, f"return {result};"])
        made.append(f"INLINE V FN({name}_{way})(V d, V x, const ROW *row)\n{{\n    {body}\n}}\n")
        o.lines = []
        sums = [term(o, Value(o, "V", f"lane[{at}]"), *elements, read) for at, term in enumerate(terms)]
        stores = [f"lane[{at}] = {o.operand('V', value)};" for at, value in enumerate(sums)]
        body = "\n    ".join(["(void)lane, (void)d, (void)x, (void)row;", *o.lines, *stores])
        arguments = "V *lane, V d, V x, const ROW *row"
        made.append(f"INLINE void FN({name}_{way}_terms)({arguments})\n{{\n    {body}\n}}\n")
    for vector, slope in zip(layer.vectors, layer.slopes, strict=True):
        made.append(function(dtype, f"{name}_{vector}_slope", ("total", "d", "s"), slope))
    return "\n".join(made)


def binary_functions(dtype: str, bi: Any) -> str:
    """The C functions of `binary.py`."""
    made = [function(dtype, f"{name}_binary", ("a", "b"), row.forward) for name, row in bi.BINARY.items()]
    for name, side in bi.BINARY_GRADIENTS:
        made.append(function(dtype, f"{name}_{side}_slope", ("d", "a", "b"), getattr(bi.BINARY[name], side)))
    return "\n".join(made)


def prepare_function(name: str, optimizer: Any) -> str:
    """A C function that advances an optimizer's running products p and gives the scalars h of a step."""
    o = ScalarAlgebra()

    def values(letter: str, names: tuple[str, ...]) -> tuple[Value, ...]:
        return tuple(Value(o, "double", f"{letter}[{number}]") for number in range(len(names)))

    products, scalars = optimizer.prepare(
        o, Value(o, "double", "rate"), values("p", optimizer.products), values("c", optimizer.constants)
    )
    stores = [f"h[{number}] = {o.operand('double', value)};" for number, value in enumerate(scalars)]
    stores += [f"p[{number}] = {o.operand('double', value)};" for number, value in enumerate(products)]
    body = "\n    ".join(["(void)p, (void)c;", *o.lines, *stores])
    arguments = "double rate, double *p, const double *c, double *h"
    return f"static void fnn_{name}_prepare({arguments})\n{{\n    {body}\n}}\n"


def formulas(dtype: str, ar: Any, fo: Any, lo: Any, st: Any) -> str:
    """All formulas of a dtype."""
    made = [
        function(dtype, "exp_nonpositive", ("x",), ar.exp_nonpositive),
        function(dtype, "log", ("x",), ar.log),
        function(
            dtype,
            "clip_probability",
            ("a",),
            lambda o, a: ar.clip(o, a, lo.PROBABILITY_FLOOR, 1.0 - lo.PROBABILITY_FLOOR),
        ),
        function(dtype, "decay", ("theta", "factor"), fo.decay),
        function(dtype, "penalty_slope", ("g", "w", "l1", "two_l2"), fo.penalty_slope),
        function(dtype, "clip", ("x", "low", "high"), ar.clip),
        function(dtype, "affine_element", ("z", "scale", "offset"), fo.affine),
        function(dtype, "moving_average_element", ("m", "x", "rate"), fo.moving_average),
        function(dtype, "inverse_deviation_element", ("v", "epsilon"), fo.inverse_deviation),
        function(dtype, "inverse_deviation_floor_element", ("v", "epsilon"), fo.inverse_deviation_floor),
        function(dtype, "standardized", ("z", "mean", "inv"), fo.standardized),
        function(dtype, "standardize_slope", ("d", "inv", "gamma"), fo.standardize_slope),
        function(dtype, "batch_norm_slope", ("d", "n", "inv", "gamma", "db", "dg", "inverse_b"), fo.batch_norm_slope),
        function(dtype, "layer_norm_slope", ("d", "n", "inv", "gamma", "m1", "m2"), fo.layer_norm_slope),
    ]
    for name, activation in fo.ELEMENTWISE.items():
        made.append(function(dtype, f"{name}_forward", ("z", "p"), activation.forward))
        made.append(function(dtype, f"{name}_backward", ("d", "s", "p"), activation.backward))
    for name, loss in lo.LOSSES.items():
        made += loss_functions(dtype, name, loss)
    made += [step_function(dtype, name, optimizer) for name, optimizer in st.OPTIMIZERS.items()]
    return "\n".join(made)


def _syntax(file: str) -> list[ast.stmt]:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8")).body


def enum_members(file: str, name: str) -> dict[str, int]:
    """The members of an IntEnum, from its text."""
    (found,) = (node for node in _syntax(file) if isinstance(node, ast.ClassDef) and node.name == name)
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in found.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def number(file: str, name: str) -> Any:
    """A module's plain number, or tuple or table of them, from its text."""
    for node in _syntax(file):
        if not isinstance(node, ast.Assign):
            continue
        target = node.targets[0]
        if isinstance(target, ast.Name) and target.id == name:
            return ast.literal_eval(node.value)
        if isinstance(target, ast.Tuple):
            names = [element.id for element in target.elts if isinstance(element, ast.Name)]
            if name in names:
                return ast.literal_eval(node.value)[names.index(name)]
    raise LookupError(f"{file} has no {name}")


def numbered(name: str, found: Any) -> dict[str, int]:
    """A number by its name; those of a table by its keys, too."""
    return {f"{name}_{key}": value for key, value in found.items()} if isinstance(found, dict) else {name: found}


def constants(bi: Any, fo: Any, lo: Any, ro: Any, st: Any) -> str:
    """Columns of the plan's tables, codes, and the contract's numbers."""
    values: dict[str, int] = {}
    for file, name, prefix in ENUMS:
        values |= {f"{prefix}_{member}": value for member, value in enum_members(file, name).items()}
    for file, name in NUMBERS:
        found = number(file, name)
        values |= numbered(name, dict(enumerate(found)) if isinstance(found, tuple) else found)
    for name, found in runpy.run_path(str(TUNING)).items():
        if name.isupper():
            values |= numbered(name, found)
    groups = {
        "ACTIVATION": fo.ELEMENTWISE,
        "LOSS": lo.LOSS_NAMES,
        "METRIC": lo.METRIC_NAMES,
        "ROW_WISE": ro.ROW_WISE,
        "VECTOR": ["_".join(pair) for pair in ro.VECTOR_GRADIENTS],
        "OPTIMIZER": st.OPTIMIZERS,
        "BINARY": bi.BINARY,
        "BINARY_GRADIENT": ["_".join(pair) for pair in bi.BINARY_GRADIENTS],
    }
    for prefix, names in groups.items():
        values |= {f"{prefix}_{name}": code for code, name in enumerate(names)}
        values[f"{prefix}_COUNT"] = len(names)
    values["FAMILY_COUNT"] = len(enum_members("core/operations.py", "Family"))
    for name, loss in lo.LOSSES.items():
        values[f"SUMS_{name}"] = len(loss.sums)
        values[f"SLOPE_SUMS_{name}"] = len(loss.sums) if loss.value else 0
        values[f"LARGEST_{name}"] = sum(int(largest) << number for number, (_, largest) in enumerate(loss.sums))
    values["MOST_SUMS"] = max(len(loss.sums) for loss in lo.LOSSES.values())
    for module, names in ((st, ("SLOTS", "SCALARS", "PRODUCTS")), (ro, ("ROW_SUMS", "VECTORS", "CONSTANTS"))):
        values |= {f"MOST_{name}": getattr(module, f"MOST_{name}") for name in names}
    lines = [
        f"#define FNN_{name} {value}{'U' if name.startswith(('MULT', 'WEYL')) else ''}"
        for name, value in values.items()
    ]
    return "\n".join(["#ifndef FNN_CONSTANTS_H", "#define FNN_CONSTANTS_H", *lines, "#endif", ""])


def write(folder: Path) -> None:
    """Writes the headers, each only where it changed."""
    root = types.ModuleType("fastnn_sources")
    root.__path__ = [str(PACKAGE)]
    sys.modules[root.__name__] = root
    ar, bi, fo, lo, ro, st = (
        importlib.import_module(f"{root.__name__}.core.{name}")
        for name in ("arithmetic", "binary", "formulas", "losses", "rowwise", "steps")
    )
    texts = {
        "constants.h": constants(bi, fo, lo, ro, st),
        "activations.h": "".join(f"FNN_ITEM({name})\n" for name in fo.ELEMENTWISE),
        "losses.h": "".join(f"FNN_ITEM({name}, {int(loss.mean)})\n" for name, loss in lo.LOSSES.items()),
        "optimizers.h": "".join(
            f"FNN_ITEM({name}, {len(optimizer.slots)}, {len(optimizer.scalars)})\n"
            for name, optimizer in st.OPTIMIZERS.items()
        ),
        "rowwise.h": "".join(
            f"FNN_ITEM({name}, {int(row.maximum)}, {len(row.forward_sums)}, {len(row.backward_sums)}, "
            f"{len(row.vectors)})\n"
            for name, row in ro.ROW_WISE.items()
        ),
        "binary.h": "".join(f"FNN_ITEM({name})\n" for name in bi.BINARY),
        "binary_gradients.h": "".join(f"FNN_ITEM({'_'.join(pair)})\n" for pair in bi.BINARY_GRADIENTS),
        **{f"binary_{suffix}.h": binary_functions(dtype, bi) for dtype, suffix in SUFFIX.items()},
        "vectors.h": "".join(f"FNN_ITEM({'_'.join(pair)})\n" for pair in ro.VECTOR_GRADIENTS),
        **{
            f"rowwise_{suffix}.h": "\n".join(row_functions(dtype, *item, ro.Row) for item in ro.ROW_WISE.items())
            for dtype, suffix in SUFFIX.items()
        },
        "prepare.h": "\n".join(prepare_function(name, optimizer) for name, optimizer in st.OPTIMIZERS.items()),
        **{f"formulas_{suffix}.h": formulas(dtype, ar, fo, lo, st) for dtype, suffix in SUFFIX.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        text = f"/* Made by csrc/generate.py. */\n{text}"
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
