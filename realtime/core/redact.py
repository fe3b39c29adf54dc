"""Credentials never reach a screen, a log, a record or an error message.

Addresses are redacted by form: what stands before an `@`, the value of every parameter that is not known to
be harmless (cameras call a password `loginpas`, `pwd2`, `psw`, …), and parts of a path that look like keys.
What was found in an address once, or was given as a secret, is then redacted by value, wherever it turns up.
`messages` and `errors` redact what they carry; nobody who prints has to think of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote

MARK: Final = "***"
# One slash is enough: an address taken for a path has lost the other.
_ADDRESS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.\-]*:/{1,2})(?P<rest>[^\s'\"]+)")
# Up to the last @, slashes and all: passwords are pasted in unescaped. Rather too much than too little.
_USERINFO = re.compile(r"(?P<info>[^\s'\"]*)@")
_VALUE = r"(?:(?![&;?/#]|[_,][A-Za-z][A-Za-z0-9\-]*=)[^\s'\"])*"
_PARAMETER = re.compile(rf"(?P<before>[/?&;#_,!]|^)(?P<key>[A-Za-z][A-Za-z0-9.\-\[\]]*)=(?P<value>{_VALUE})")
_HARMLESS: Final = frozenset(
    [
        "channel",
        "channelid",
        "ch",
        "chn",
        "chan",
        "stream",
        "streamid",
        "streamtype",
        "substream",
        "subtype",
        "sub",
        "profile",
        "resolution",
        "res",
        "fps",
        "framerate",
        "rate",
        "codec",
        "videocodec",
        "audiocodec",
        "video",
        "audio",
        "camera",
        "cam",
        "width",
        "height",
        "w",
        "h",
        "quality",
        "q",
        "format",
        "type",
        "mode",
        "track",
        "start",
        "end",
        "starttime",
        "endtime",
        "time",
        "t",
        "size",
        "bitrate",
        "compression",
        "proto",
        "protocol",
        "transport",
        "mic",
        "unicast",
        "multicast",
        "port",
        "timeout",
        "real",
        "overrun",
        "fifo",
        "latency",
        "speed",
        "loop",
        "rotation",
    ]
)
_SECRET = re.compile(
    r"(?P<key>[A-Za-z0-9.\-]*(?:pass|pwd|passwd|psw|secret|token|api[_\-]?key|auth|credential|user-id|user-pw)"
    rf"[A-Za-z0-9.\-]*=)(?P<value>\"[^\"]*\"|'[^']*'|{_VALUE})",
    re.IGNORECASE,
)
"""Outside an address, where `key=value` may be anything: only what is called like a secret."""
_BEARER = re.compile(r"(?P<key>\b(?:Basic|Bearer|Digest) )(?P<value>[A-Za-z0-9+/=._~\-]{6,})")
_GROUPS = re.compile(r"[A-Za-z0-9]{4,}(?:-[A-Za-z0-9]{4,}){3,}")
"""Stream keys and UUIDs."""
_FORMAT = re.compile(r"(?i)h\.?26[45]|mpeg-?[24]|mp4v?|m3u8")
_SHORTEST: Final = 4
_OPEN: Final = 8
"""Values at least this long are replaced within words, too; shorter ones only as words of their own."""

_WORDS: Final = frozenset(
    [
        "pass",
        "password",
        "passwd",
        "secret",
        "token",
        "admin",
        "user",
        "camera",
        "stream",
        "microphone",
        "true",
        "none",
    ]
)
"""Passwords that would blank out our own words; by form they are redacted all the same."""

_values: dict[str, re.Pattern[str]] = {}


def redact(text: str) -> str:
    """Replace user names, passwords, tokens and keys inside `text` by `***`."""
    text = _ADDRESS.sub(lambda m: m["scheme"] + _address(m["rest"]), text)
    text = _SECRET.sub(lambda m: m["key"] + MARK + _prose(m["value"]), text)
    text = _BEARER.sub(lambda m: m["key"] + MARK, text)
    for _, pattern in sorted(_values.items(), key=lambda known: -len(known[0])):
        text = pattern.sub(MARK, text)  # the longest first: one secret may be the beginning of another
    return text


def remember(text: str, *, secret: bool = False) -> None:
    """Redact by value, from now on, the secrets inside an address, or the whole text where it is one."""
    found = [text] if secret else [v for m in _ADDRESS.finditer(text) for v in _secrets(m["rest"])]
    for value in found:
        for form in {value, unquote(value), quote(value, safe="")}:
            if len(form) >= _SHORTEST and form.lower() not in _WORDS and form not in (MARK, *_values):
                whole = re.escape(form)
                if len(form) < _OPEN:
                    whole = rf"(?<![A-Za-z0-9]){whole}(?![A-Za-z0-9])"
                _values[form] = re.compile(whole)


def _address(rest: str) -> str:
    """What follows the slashes of a scheme, without secrets."""
    hidden = ""
    prose = _prose(rest)
    rest = rest.removesuffix(prose)
    if match := _USERINFO.match(rest):
        hidden, rest = f"{MARK}@", rest[match.end() :]
    host, path = _host(rest)
    path = _PARAMETER.sub(lambda m: m[0] if _harmless(m) else f"{m['before']}{m['key']}={MARK}", path)
    parts = (MARK if _looks_like_a_key(part) else part for part in path.split("/"))
    return hidden + host + "/".join(parts) + prose


def _prose(text: str) -> str:
    """The end that belongs to the sentence around it."""
    return text[len(text.rstrip(":,.;)")) :]


def _host(rest: str) -> tuple[str, str]:
    cut = min((at for c in "/?#" if (at := rest.find(c)) >= 0), default=len(rest))
    return rest[:cut], rest[cut:]


def _harmless(parameter: re.Match[str]) -> bool:
    return not parameter["value"] or parameter["key"].lower() in _HARMLESS


def _looks_like_a_key(part: str) -> bool:
    """Long, of letters and digits, and no word of a camera's language (`h264Preview_01_main`)."""
    plain = _FORMAT.sub("", part)
    if "=" in plain or "?" in plain:
        return False
    if _GROUPS.fullmatch(plain) and any(c.isdigit() for c in plain):
        return True
    for piece in re.split(r"[._:]", plain):
        digits, letters = (sum(test(c) for c in piece) for test in (str.isdigit, str.isalpha))
        if len(piece) >= 12 and digits >= 2 and letters >= 3:  # 20261129T101500Z is a time
            return True
        if len(piece) >= 24:
            return True
    return False


def _secrets(rest: str) -> Iterator[str]:
    """The values in an address that are no user's name and nothing harmless."""
    if match := _USERINFO.match(rest):
        yield match["info"].partition(":")[2]
        rest = rest[match.end() :]
    _, path = _host(rest)
    for parameter in _PARAMETER.finditer(path):
        name = parameter["key"].lower()
        public = _harmless(parameter) or any(word in name for word in ("user", "usr", "login", "name"))
        if not public or "pas" in name or "pw" in name:
            yield from {parameter["value"], parameter["value"].rpartition(",")[2]}
    yield from (part for part in path.split("/") if _looks_like_a_key(part))
