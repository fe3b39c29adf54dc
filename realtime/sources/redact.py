"""Credentials never reach a screen, a log or an error message."""

from __future__ import annotations

import re

# Up to the last @, slashes and all: passwords are pasted in unescaped. Rather too much than too little.
# One slash is enough: an address taken for a path has lost the other.
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.\-]*:/{1,2})[^\s'\"]*@")
_QUERY = re.compile(
    r"(?P<key>[?&;](?:user|username|usr|login|pass|passwd|password|pwd|token|access_token|auth|key|apikey|"
    r"api_key|secret|sig|signature|session)=)[^&;#\s'\"]*",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Replace user names, passwords and tokens in every URL inside `text` by `***`."""
    text = _USERINFO.sub(lambda m: f"{m['scheme']}***@", text)
    return _QUERY.sub(lambda m: f"{m['key']}***", text)
