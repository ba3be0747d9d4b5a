"""`fastnn sample NAME`: writes a table that ships with fastnn, to try the other commands on."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from ..errors import FastnnError
from . import options

TABLES = {"iris": "150 flowers: length and width of sepals and petals in cm, and which of three species"}
HELP = "write a table that ships with fastnn, to try the other commands on"
EPILOG = """\
NAME is
  iris    150 flowers, 4 lengths in cm, 3 species; by R. A. Fisher, CC BY 4.0

The licence is written beside the table. A file that is there already and is
another one stays, with an error.

example
  fastnn sample iris && fastnn train iris.csv --target species
"""


def add_parser(commands: options.Commands) -> None:
    """Add this subcommand to argparse's `commands`."""
    parser = commands.add_parser(
        "sample", help=HELP, description=HELP, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", metavar="NAME", choices=TABLES, help="which table, see below")
    parser.add_argument("--folder", type=Path, default=Path(), metavar="FOLDER", help="where to (here)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the table and its licence, unless they are there."""
    from .. import datasets

    source = Path(datasets.__file__).parent
    names = f"{args.name}.csv", f"{args.name}.LICENSE.txt"
    for name in names:
        path = args.folder / name
        if path.exists() and path.read_bytes() != (source / name).read_bytes():
            raise FastnnError(f"{path}: is there already, with other contents; move it, or give a --folder")
    for name in names:
        if not (args.folder / name).exists():
            shutil.copyfile(source / name, args.folder / name)
    options.answer(f"{args.folder / names[0]}: {TABLES[args.name]}\n{args.folder / names[1]}: its licence, CC BY 4.0\n")
    return 0
