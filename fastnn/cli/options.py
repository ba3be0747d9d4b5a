"""What the subcommands share: the values of options, JSON for machines, plurals."""

from __future__ import annotations

import argparse
import errno
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.printing import encodable, is_terminal, put
from ..errors import FastnnError

if TYPE_CHECKING:
    from .schema import Notation

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # what `add_subparsers` returns

STDOUT = "stdout"


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json` to a subcommand."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text, for programs")


def add_backend(parser: argparse._ActionsContainer) -> None:
    """Add `--backend`."""
    parser.add_argument(
        "--backend", default="auto", metavar="NAME", help="which one computes; `fastnn info` lists them (auto)"
    )


def add_use(parser: argparse.ArgumentParser) -> None:
    """Add what subcommands share that use a saved network: the backend, how a table is written, `--json`."""
    add_backend(parser)
    add_notation(parser.add_argument_group("how a .csv file is written, if not as the one trained on"))
    add_json(parser)


def add_notation(parser: argparse._ActionsContainer) -> None:
    """Add what tells how a table is written; `notation` reads it."""
    parser.add_argument(
        "--na", action="append", metavar="TEXT", help="what stands for a missing value, such as '?'; may be repeated"
    )
    parser.add_argument("--decimal", choices=(".", ","), help="what numbers have before their decimals (.)")
    parser.add_argument("--thousands", type=_letter, metavar="C", help="what sets thousands apart, such as , (nothing)")


def notation(args: argparse.Namespace, known: Notation) -> Notation:
    """That of the options, and of `known` where an option is not given.

    Raises:
        FastnnError: one character would be two things.
    """
    from .schema import Notation

    decimal, thousands = args.decimal or known.decimal, args.thousands or known.thousands
    if decimal == thousands:
        raise FastnnError(f"--decimal and --thousands are both {decimal!r}; expected two different characters")
    return Notation(known.na if args.na is None else tuple(args.na), decimal, thousands)


def require_usual(data: str, notation: Notation) -> None:
    """Raises a FastnnError where arrays are to be read as a table is."""
    from .schema import USUAL

    if notation != USUAL:
        raise FastnnError(
            f"{data}: --na, --decimal and --thousands are for .csv files; arrays hold numbers as they are"
        )


def _letter(text: str) -> str:
    if len(text) != 1 or not text.isascii() or text.isalnum() or text in "+-":
        raise argparse.ArgumentTypeError(f"expected one character such as , or . got {text!r}")
    return text


def require_other(option: str, path: Path, *read: str) -> None:
    """Finds out before the work whether a file that is written is one of those that are read, under whatever name.

    Raises:
        FastnnError: it is.
    """
    for name in read:
        try:
            same = path.samefile(name)
        except OSError:  # one of them does not exist
            same = False
        if same:
            raise FastnnError(f"{option} {path}: that is {name}, which is read; name another file")


def print_json(value: object) -> None:
    """Print one line of JSON; NaN and infinity, which JSON does not have, become null."""
    import json

    finite = _finite(value)
    text = json.dumps(finite, ensure_ascii=False, allow_nan=False)
    answer((text if encodable(text, sys.stdout) == text else json.dumps(finite)) + "\n")


def answer(text: str) -> None:
    """Writes to stdout what a command was asked for; lines that go with its work are `say`'s.

    Raises:
        OSError: stdout does not take it; its file is `STDOUT`.
    """
    if sys.stdout is None:
        raise _closed()
    try:
        put(text)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, STDOUT) from None
    except ValueError:
        raise _closed() from None


def _closed() -> OSError:
    return OSError(errno.EBADF, "closed", STDOUT)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def count(n: int, noun: str, plural: str = "") -> str:
    """`1 row`, `1,797 rows`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def number(value: float) -> str:
    """Four digits, and more only where they stand before the point."""
    return f"{value:.4g}" if not 1e4 <= abs(value) < 1e15 else f"{value:,.0f}"


def widths(text: str) -> tuple[int, ...]:
    """The units of hidden layers: `256,128`, or `0` for none."""
    if text == "0":
        return ()
    try:
        units = tuple(int(part) for part in text.split(","))
    except ValueError:
        units = (0,)
    if min(units) < 1:
        raise argparse.ArgumentTypeError(f"expected positive whole numbers such as 256,128, got {text!r}")
    return units


def threads(text: str) -> list[int]:
    """Numbers of threads: `1,2`."""
    return [positive(part) for part in text.split(",")]


def model(text: str) -> list[int]:
    """The units of a network from its inputs to its outputs: `784-256-128-10`."""
    parts = text.split("-")
    if len(parts) < 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"expected units from inputs to outputs such as 784-256-128-10, got {text!r}")
    return [int(part) for part in parts]


def fits(lines: Sequence[str]) -> bool:
    """Whether a terminal breaks none of the lines, if it is one that they go to."""
    return not is_terminal(sys.stdout) or max(map(len, lines)) <= shutil.get_terminal_size().columns


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def whole(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def seed(text: str) -> int:
    """A whole number from 0 to 2**32 - 1, which `utils.set_random_seed` takes."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2**32 - 1, got {text!r}")
    return int(text)


def rate(text: str) -> float:
    """A positive number."""
    number = _number(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return number


def share(text: str) -> float:
    """A number from 0 to below 1."""
    number = _number(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, got {text!r}")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def require_folder(option: str, path: Path) -> None:
    """Find out before the work whether a file can be written, and leave nothing behind.

    Raises:
        FastnnError: it cannot.
    """
    from ..core.files import require_writable

    try:
        if not path.parent.is_dir() or path.is_dir():
            raise FastnnError(f"{option} {path}: expected a file in a folder that exists")
        require_writable(path)
    except OSError as error:
        raise FastnnError(f"{option} {path}: cannot be written: {error.strerror}") from None
