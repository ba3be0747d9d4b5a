"""What the scripts share: their options, and how they start processes; `output.py` has their tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from fastnn.benchmarks.networks import NETWORKS, Network, own
from fastnn.benchmarks.processes import Found, Library, Runs, Session, rounds
from output import add_json_option

HERE = Path(__file__).parent
CALLS = ("predict", "train", "fit")  # of small_calls.py


def whole_numbers(text: str) -> list[int]:
    """Of an option such as 1,2.

    Raises:
        argparse.ArgumentTypeError: anything but whole numbers of at least 1.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(
            f"{text!r}, expected whole numbers from 1 with commas between them, such as 1,2"
        )
    return [int(part) for part in parts]


def parser(
    description: str | None, examples: str, peers: Mapping[str, str], seconds: float | None = 2.0
) -> argparse.ArgumentParser:
    """The options of every script.

    Args:
        examples: commands that teach, with what each is good for. peers: title of each peer by name; empty: none.
        seconds: of repeating, unless told; None for a script that counts instead.
    """
    made = argparse.ArgumentParser(
        description=description,
        epilog="examples\n" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    measuring = made.add_argument_group("how to measure")
    measuring.add_argument(
        "--threads",
        type=whole_numbers,
        default=[1, 2],
        metavar="N,N",
        help="thread counts, each on as many cores (1,2)",
    )
    measuring.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="fresh processes of each; a round visits all in turn (3)"
    )
    if seconds is not None:
        measuring.add_argument(
            "--seconds",
            type=float,
            default=seconds,
            metavar="X",
            help=f"of repeating in each process, for each figure ({seconds:g})",
        )
    measuring.add_argument(
        "--cold", action="store_true", help="empty caches of compiled code for each process: shows compilation"
    )
    measuring.add_argument(
        "--tiny", action="store_true", help="next to no work, one round: tries the program, measures nothing"
    )
    add_json_option(made)
    compared = made.add_argument_group("what to compare")
    compared.add_argument(
        "--backends", default="", metavar="A,B", help="of fastnn (all that are available, but not reference)"
    )
    if peers:
        names = ",".join(peers)
        compared.add_argument("--peers", default=names, metavar="A,B", help=f'which of {names} (all); "" for none')
        compared.add_argument(
            "--peer-python",
            default=sys.executable,
            metavar="PATH",
            help="the interpreter that has the peers (this one)",
        )
    return made


def parse(made: argparse.ArgumentParser, peers: Mapping[str, str]) -> argparse.Namespace:
    """The options; ends the script with a message for an unknown peer."""
    args = made.parse_args()
    if args.tiny:
        args.rounds, args.seconds = 1, 0.0
    if args.rounds < 1:
        made.error(f"--rounds is {args.rounds}, expected at least 1")
    if peers:
        unknown = [name for name in args.peers.split(",") if name and name not in peers]
        if unknown:
            made.error(f"--peers: unknown {', '.join(unknown)}; known: {', '.join(peers)}")
    return args


def own_libraries(args: argparse.Namespace) -> list[Library]:
    """fastnn on each backend that is asked for, or available."""
    from fastnn.benchmarks.operations import usual_backends

    names = args.backends.split(",") if args.backends else usual_backends()
    return [Library(f"fastnn {name}", "fastnn", name, sys.executable) for name in names]


def libraries(args: argparse.Namespace, peers: Mapping[str, str]) -> list[Library]:
    """fastnn's backends, then the chosen peers."""
    chosen = [name for name in args.peers.split(",") if name]
    return own_libraries(args) + [Library(peers[name], name, "", args.peer_python) for name in chosen]


def session_of(args: argparse.Namespace, variables: Mapping[str, str] | None = None) -> Session:
    """What starts the processes that the options ask for."""
    return Session(args.cold, variables)


def run(
    session: Session,
    args: argparse.Namespace,
    child: str,
    columns: Sequence[Library],
    jobs: Mapping[str, Found],
    limits: Found | None = None,
) -> Runs:
    """`processes.rounds` as the options ask for; a child of this folder is named by its file."""
    place = str(HERE / child) if child.endswith(".py") else child
    return rounds(session, args.rounds, args.threads, place, columns, jobs, limits)


def limits_job(args: argparse.Namespace, dtype: str = "float32", sizes: Sequence[int] = ()) -> Found:
    """What limits.py is told: the peak, and the bandwidth of Adam at `sizes` parameters."""
    return {"dtype": dtype, "sizes": list(sizes), "seconds": min(0.3, args.seconds)}


# --- which networks -------------------------------------------------------------------------------------------------


def widths(text: str) -> list[int]:
    """Of an option such as 784-256-10.

    Raises:
        argparse.ArgumentTypeError: fewer than two whole numbers.
    """
    parts = text.split("-")
    if len(parts) < 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r}, expected widths from input to output, such as 784-256-128-10")
    return [int(part) for part in parts]


def add_network_options(made: argparse.ArgumentParser, default: int | None = None) -> None:
    """The options that choose networks: unless told, the row `default`, or all."""
    chosen = made.add_argument_group("which networks")
    chosen.add_argument(
        "--networks",
        type=whole_numbers,
        default=None if default is None else [default],
        metavar="N,N",
        help="rows of the table: "
        + "; ".join(f"{number} {row.name}" for number, row in enumerate(NETWORKS, 1))
        + f" ({default or 'all'})",
    )
    chosen.add_argument(
        "--network",
        type=widths,
        action="append",
        metavar="W-W-W",
        help="a network of your own instead; may be repeated",
    )
    chosen.add_argument("--batch", type=int, default=128, metavar="N", help="batch of --network (128)")


def chosen_networks(made: argparse.ArgumentParser, args: argparse.Namespace) -> list[Network]:
    """The networks that the options choose, with --tiny of two steps; ends the script with a message if there is no
    such row."""
    rows = _rows(made, args)
    return [network._replace(rows=2 * network.batch) for network in rows] if args.tiny else rows


def _rows(made: argparse.ArgumentParser, args: argparse.Namespace) -> list[Network]:
    if args.network:
        if args.batch < 1:
            made.error(f"--batch is {args.batch}, expected at least 1")
        return [own(widths, args.batch) for widths in args.network]
    if args.networks is None:
        return NETWORKS
    if max(args.networks) > len(NETWORKS):
        made.error(f"--networks is {args.networks}, expected numbers from 1 to {len(NETWORKS)}")
    return [NETWORKS[number - 1] for number in args.networks]
