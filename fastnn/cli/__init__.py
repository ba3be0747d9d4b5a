"""The command `fastnn`: one file per subcommand, each with `add_parser` and `run`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from .. import __version__
from ..core.printing import say
from ..errors import FastnnError, nearest
from . import bench, compare, evaluate, info, options, plot, predict, sample, train, warmup

WRONG_INPUT = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


class _UsageError(Exception):
    """What argparse found wrong, said in one line instead of a usage block."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{self.prog}: {message}; see `{self.prog} --help`")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Of --help and --version."""
        options.answer(message)


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """That of the command, and those of its subcommands."""
    parser = _Parser(
        prog="fastnn",
        description="Dense neural networks, trained as fast as the hardware allows.",
        epilog="Start with `fastnn train digits`: it needs no files and takes a few seconds.",
    )
    parser.add_argument("--version", action="version", version=f"fastnn {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (train, predict, evaluate, plot, sample, info, warmup, bench, compare):
        command.add_parser(commands)
    return parser, dict(commands.choices)


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments; what is wrong with them is said by the subcommand that they are for."""
    parser, commands = _parser()
    place, command = next(((place, text) for place, text in enumerate(argv) if text in commands), (len(argv), ""))
    at = commands.get(command, parser)
    for number, text in enumerate(argv[: argv.index("--")] if "--" in argv else argv):
        known = (at if number > place else parser)._option_string_actions
        name = text.partition("=")[0]
        if name.startswith("--") and " " not in text and not any(option.startswith(name) for option in known):
            names = [option for option in known if option.startswith("--")]
            (at if number > place else parser).error(f"there is no option {name}{nearest(name, names)}")
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        at.error(f"unrecognized arguments: {' '.join(unknown)}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments after the program's name; `sys.argv[1:]` if None.

    Returns:
        The exit code: 0; 1 for a training that diverged and 2 for wrong input, files that cannot be read or written and
        too little memory, after one line on stderr; 130 after Ctrl-C; 141, silent, where nobody reads stdout any more.
        A training goes on, and is saved, where stdout fails; 2 or 141 then says that its last lines are lost.

    Raises:
        SystemExit: for `--help` and `--version`, with code 0.
    """
    where = "fastnn"
    try:
        args = _arguments(sys.argv[1:] if argv is None else argv)
        where = f"fastnn {args.command}"
        code: int = args.run(args)
    except _UsageError as error:
        return _wrong(str(error))
    except FastnnError as error:
        return _wrong(f"{where}: {_line(error)}")
    except BrokenPipeError:
        _silence()
        return BROKEN_PIPE
    except OSError as error:
        if error.filename == options.STDOUT:
            _silence()
        named = error.filename is not None and error.strerror
        return _wrong(f"{where}: {f'{error.filename}: {error.strerror}' if named else _line(error)}")
    except MemoryError as error:
        return _wrong(f"{where}: not enough memory: {_line(error) or 'use smaller data or layers'}")
    except KeyboardInterrupt:
        say("fastnn: stopped by Ctrl-C", "stderr")
        return INTERRUPTED
    return code


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _silence() -> None:
    """What is still buffered goes nowhere, or the interpreter would complain of it when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # no descriptor behind it: nothing to complain of
        return


def _wrong(line: str) -> int:
    say(line, "stderr")
    return WRONG_INPUT
