"""Text for people, on streams that may not take it: what cannot be encoded is replaced, what fails ends no work."""

from __future__ import annotations

import codecs
import os
import sys
from typing import Any

_ASCII = {"·": "-", "━": "=", "─": "-"}
_REPLACE = "fastnn.replace"  # the name of `_replaced` among Python's handlers of errors


def say(text: str, to: str = "stdout") -> bool:
    """Prints a line that goes with some work; whether the stream took it. The work goes on where it did not."""
    try:
        put(text + "\n", to)
    except Exception:  # streams are a user's too, and raise what they like
        return False
    return True


def put(text: str, to: str = "stdout") -> None:
    """Writes text, with its line ends, and flushes it.

    Args:
        text: any. to: "stdout" or "stderr", as `sys` has them now.

    Raises:
        Exception: what the stream raises, most often an OSError, or a ValueError if it is closed.
    """
    stream = getattr(sys, to)
    if stream is not None:  # as in a process without a console, or whose descriptor was closed
        write(stream, text)


def write(stream: Any, text: str) -> None:
    """`put` for a stream."""
    try:
        stream.write(encodable(text, stream))
    except UnicodeEncodeError:  # it gives the text to another, which takes less than it says
        stream.write(_encodable(text, "ascii"))
    flush = getattr(stream, "flush", None)
    if flush is not None:
        flush()


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal that can go back in a line."""
    if os.environ.get("TERM") in ("dumb", "unknown"):
        return False
    try:
        return bool(stream.isatty())
    except Exception:  # as in `say`
        return False


def encodable(text: str, stream: Any) -> str:
    """The text with what `stream` cannot encode replaced: separators and bars by ASCII, the rest by escapes."""
    encoding = getattr(stream, "encoding", None)
    if encoding is None:
        return text
    try:
        text.encode(encoding, getattr(stream, "errors", None) or "strict")
    except UnicodeEncodeError:
        return _encodable(text, encoding)
    except (LookupError, TypeError):  # neither is what Python's own streams have
        return text
    return text


def _encodable(text: str, encoding: str) -> str:
    return text.encode(encoding, _REPLACE).decode(encoding)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    letters = error.object[error.start : error.end]
    return "".join(_ASCII.get(letter) or ascii(letter)[1:-1] for letter in letters), error.end


codecs.register_error(_REPLACE, _replaced)
