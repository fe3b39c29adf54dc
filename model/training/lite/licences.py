"""Which licences, as the manifests of sounds and photographs word them, allow training what is shipped."""

from __future__ import annotations


def gpl_alone(licence: str) -> bool:
    """Whether a licence, as a manifest words it, leaves nothing but the GPL to choose."""
    return "GPL" in licence and not any(other in licence for other in ("CC-BY", "Free Art"))
