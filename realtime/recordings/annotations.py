"""Tracks for those who annotate and score: RTTM, Label Studio's pre-annotations, DESED's event lists."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from ...model.labels import short_name
from .findings import Found

_TOOL: Final = "avel-live"


FORMATS: Final = {"rttm": ".rttm", "desed": ".desed.tsv", "label-studio": ".label-studio.json"}
"""What `--also` takes, and how its files end."""


def rttm(events: Sequence[Found], name: str) -> str:
    """Rich Transcription Time Marked lines, as NIST defined them and diarisation tools read them.

    A line is ten fields between blanks; names have none, so blanks in them become `_`.

    Args:
        events: what was found.
        name: of the recording.

    """
    return "".join(
        f"SPEAKER {_field(name)} 1 {e.start_s:.3f} {e.end_s - e.start_s:.3f} <NA> <NA> "
        f"{_field(e.label)} {e.confidence:.3f} <NA>\n"
        for e in events
    )


def _field(text: str) -> str:
    return re.sub(r"\s+", "_", text.strip()) or "<NA>"


def desed(events: Sequence[Found], name: str) -> str:
    """An event list with the columns that sed_eval, sed_scores_eval and DESED's baselines read.

    Args:
        events: what was found; of a recording without any there is a row of its name alone, as DESED has it.
        name: of the recording.

    """
    rows = [f"{name}\t{e.start_s:.3f}\t{e.end_s:.3f}\t{e.label}" for e in events] or [f"{name}\t\t\t"]
    return "\n".join(["filename\tonset\toffset\tevent_label", *(_tabless(row) for row in rows)]) + "\n"


def _tabless(row: str) -> str:
    return row.replace("\r", " ").replace("\n", " ")


def label_studio(events: Sequence[Found], media_url: str, version: str, *, video: bool) -> str:
    """A task with predictions, to be imported into Label Studio; confirmed there by hand.

    The labelling interface names its tags `label` and `audio`, and plays the sound of videos, too:
    `<View><Labels name="label" toName="audio">…</Labels><Audio name="audio" value="$audio"/></View>`

    Args:
        events: what was found.
        media_url: the recording as Label Studio reaches it.
        version: of the networks that found it.
        video: whether the recording has a picture, which the task says.

    """
    result = [
        {
            "id": f"e{e.id}",
            "from_name": "label",
            "to_name": "audio",
            "type": "labels",
            "value": {"start": e.start_s, "end": e.end_s, "channel": 0, "labels": [e.label]},
            "score": e.confidence,
        }
        for e in events
    ]
    scores = [e.confidence for e in events]
    prediction: dict[str, Any] = {
        "model_version": f"{_TOOL} {version}",
        "score": round(sum(scores) / len(scores), 4) if scores else 0.0,
        "result": result,
    }
    labels = sorted({short_name(e.label) for e in events})
    task = {
        "data": {"audio": media_url, "video": video, "found": ", ".join(labels)},
        "predictions": [prediction],
    }
    return json.dumps([task], ensure_ascii=False, indent=1) + "\n"
