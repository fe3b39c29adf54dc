"""Names that people gave, as identifiers: topic levels, file names, ids. Different names stay different.

`slug` keeps letters, digits and marks of every script. What only ASCII may stand in gets `ascii_id`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Final

LONGEST: Final = 80
"""Bytes of UTF-8 that a slug has at most: two of them fit into a file name of 255."""


def slug(text: str) -> str:
    """Small letters, digits and `_`: `Violin, fiddle` → `violin_fiddle`, `Haustür 2` → `haustür_2`.

    Where letters of a name are lost (emoji, a very long name) a few digits of its digest are added.
    """
    whole = _normal(text)
    kinds = [unicodedata.category(c)[0] for c in whole]  # letter, mark, number, punctuation, symbol, …
    kept = "".join(c if kind in "LMN" else "_" for c, kind in zip(whole, kinds, strict=True))
    plain = re.sub("_+", "_", kept).strip("_")
    lost = any(kind not in "LMNPZ" and not c.isascii() for c, kind in zip(whole, kinds, strict=True))
    if len(plain.encode("utf-8", "replace")) > LONGEST:
        cut = plain.encode("utf-8", "replace")[: LONGEST - 9]
        plain, lost = cut.decode("utf-8", "ignore").strip("_"), True
    if not lost:
        return plain or (f"x_{digest(whole)}" if whole.strip() else "x")
    return f"{plain or 'x'}_{digest(whole)}"


def slugs(names: Iterable[str]) -> dict[str, str]:
    """The slug of every name, each a different one: names that would share one (`C`, `C#`) get a digest."""
    given = list(dict.fromkeys(names))
    plain = {name: slug(name) for name in given}
    shared = {one for one, many in Counter(plain.values()).items() if many > 1}
    taken = {one for one in plain.values() if one not in shared}
    for name in given:
        if plain[name] in shared:
            candidate = f"{plain[name]}_{digest(name)}"
            while candidate in taken:
                candidate = f"{plain[name]}_{digest(candidate)}"
            taken.add(candidate)
            plain[name] = candidate
    return plain


def ascii_id(identifier: str) -> str:
    """An identifier of ASCII alone: itself, if it is; else what can be written of it, and a digest."""
    if identifier.isascii():
        return identifier
    plain = unicodedata.normalize("NFKD", identifier).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")[:LONGEST]
    return f"{stem}_{digest(identifier)}" if stem else digest(identifier)


def digest(text: str) -> str:
    """Eight hexadecimal digits that tell texts apart."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _normal(text: str) -> str:
    # `lower` may take composed letters apart again (a Turkish İ).
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
