"""The command `fastnn`: one file per subcommand, each with `add_parser` and `run`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from ..errors import FastnnError
from . import info, train

WRONG_INPUT = 2
INTERRUPTED = 130


class _UsageError(Exception):
    """What argparse found wrong, said in one line instead of a usage block."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{self.prog}: {message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fastnn",
        description="Dense neural networks, trained as fast as the hardware allows.",
        epilog="Start with `fastnn train digits`: it needs no files and takes a few seconds.",
    )
    parser.add_argument("--version", action="version", version=f"fastnn {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    info.add_parser(commands)
    train.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments after the program's name; `sys.argv[1:]` if None.

    Returns:
        The exit code: 0; 2 for wrong input, after one line on stderr; 130 after Ctrl-C.

    Raises:
        SystemExit: for `--help` and `--version`, with code 0.
    """
    try:
        args = _parser().parse_args(argv)
        code: int = args.run(args)
    except _UsageError as error:
        return _wrong(str(error))
    except FastnnError as error:
        return _wrong(f"fastnn {args.command}: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        print("fastnn: stopped by Ctrl-C", file=sys.stderr)
        return INTERRUPTED
    return code


def _wrong(line: str) -> int:
    print(line, file=sys.stderr)
    return WRONG_INPUT
