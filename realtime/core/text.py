"""Text of others (names, reasons, file names) on its way to a terminal or a log line.

A class, a device or a file may be called anything, escape sequences included: printed as they are they would
recolour the screen, rewrite lines that were there, or forge log lines.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn the direction of writing around
    "\u2028\u2029\ud800-\udfff]"  # line ends that only some see; bytes that were no text
)


def visible(text: str, mark: str = "") -> str:
    r"""The text with its control characters spelled out (`\x1b`), or as `mark`; tabs and line ends stay."""
    return _CONTROL.sub(lambda m: mark or _spelled(m[0]), text)


def one_line(text: str) -> str:
    """As `visible`, on one line."""
    return visible(" ".join(text.split()))


def file_name(name: str | os.PathLike[str]) -> str:
    """A file's name as text: bytes that are no UTF-8 become U+FFFD. The file is found by its `Path`."""
    return os.fsencode(name).decode("utf-8", "replace")


def finite(value: Any) -> Any:
    """Plain values as JSON can say them: NaN and infinity become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, list | tuple) else value


def json_safe(line: str) -> str:
    """A line of JSON without control characters: all stand in strings, where an escape means the same."""
    return _CONTROL.sub(lambda m: f"\\u{ord(m[0]):04x}", line)


def _spelled(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
