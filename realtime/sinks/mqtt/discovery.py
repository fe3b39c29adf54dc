"""What Home Assistant is told about this stream, by its MQTT device discovery.

One retained message on `<prefix>/device/<id>/config` announces the device and its entities: an `event`
entity that fires when an event begins, two sensors (what is going on, how sure), a binary sensor for
"anything at all", and one binary sensor per class, disabled until the user wants it. Form and field
names: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...core.names import ascii_id, slug, slugs

PROJECT_URL = "https://pypi.org/project/avel-live/"


def discovery_topic(prefix: str, name: str) -> str:
    """Where the announcement of the stream called `name` belongs."""
    return f"{prefix}/device/{_identity(name)}/config"


def _identity(name: str) -> str:
    # Home Assistant takes no other letters in a topic of announcements.
    return f"avel_{ascii_id(slug(name))}"


def former_components(payload: bytes) -> dict[str, dict[str, Any]]:
    """The components of an announcement that the broker kept; empty where it is none of ours."""
    try:
        found = json.loads(payload)["components"]
        return {str(key): dict(found[key]) for key in found if "platform" in found[key]}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def removals(former: dict[str, dict[str, Any]], payload: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What has to stand in `payload` so that entities of `former` that it does not have are removed."""
    present = payload["components"]
    return {key: {"platform": one["platform"]} for key, one in former.items() if key not in present}


def discovery_payload(base: str, name: str, labels: Sequence[str], version: str) -> dict[str, Any]:
    """The announcement.

    Args:
        base: topic under which the stream publishes (`avel/door`).
        name: what the stream is called.
        labels: class names, background last.
        version: of this program.

    """
    identity = _identity(name)
    state = f"{base}/state"
    events = list(labels[:-1])
    components: dict[str, dict[str, Any]] = {
        "event": {
            "platform": "event",
            "name": "Event",
            "unique_id": f"{identity}_event",
            "icon": "mdi:ear-hearing",
            "state_topic": f"{base}/event/start",
            "event_types": events,
        },
        "label": {
            "platform": "sensor",
            "name": "Now",
            "unique_id": f"{identity}_label",
            "icon": "mdi:eye-outline",
            "device_class": "enum",
            "options": list(labels),
            "state_topic": state,
            "value_template": "{{ value_json.label if value_json is defined else none }}",
        },
        "confidence": {
            "platform": "sensor",
            "name": "Confidence",
            "unique_id": f"{identity}_confidence",
            "icon": "mdi:gauge",
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "suggested_display_precision": 0,
            "state_topic": state,
            "value_template": (
                "{{ (value_json.confidence * 100) | round(1) if value_json is defined else none }}"
            ),
        },
        "active": {
            "platform": "binary_sensor",
            "name": "Any event",
            "unique_id": f"{identity}_active",
            "state_topic": f"{base}/active",
        },
    }
    for label, level in slugs(events).items():
        key = f"class_{ascii_id(level)}"
        components[key] = {
            "platform": "binary_sensor",
            "name": label,
            "unique_id": f"{identity}_{key}",
            "state_topic": f"{base}/active/{level}",
            "enabled_by_default": False,
        }
    return {
        "device": {
            "identifiers": [identity],
            "name": name if name.startswith("avel") else f"avel {name}",
            "manufacturer": "avel-live",
            "model": "audio-visual event localizer",
            "sw_version": version,
        },
        "origin": {"name": "avel-live", "sw_version": version, "support_url": PROJECT_URL},
        "availability_topic": f"{base}/availability",
        "qos": 1,
        "components": components,
    }
