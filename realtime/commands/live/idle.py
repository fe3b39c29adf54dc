"""Flags that would do nothing beside the source that was chosen are refused, not ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from ...config.load import Loaded
from ...config.schema import NONE, Config
from ...core.errors import UsageError

_SOURCES: Final = ("file", "url", "demo", "camera", "mic")
Kind = Literal["recording", "network", "devices"]


def _kind(config: Config) -> Kind:
    if not config.is_live:
        return "recording"
    return "devices" if config.url is None else "network"


def _camera(config: Config) -> bool:
    return _kind(config) == "devices" and config.camera != NONE


def _recording(config: Config) -> bool:
    return _kind(config) == "recording"


def _both(config: Config) -> bool:
    return config.camera != NONE and config.mic != NONE


def _sound(config: Config) -> bool:
    return config.mic != NONE


def _decoded(config: Config) -> bool:
    return _kind(config) != "devices" and config.camera != NONE


def _rtsp(config: Config) -> bool:
    return config.url is not None and config.url.lower().startswith("rtsp")


_MEANT_FOR: Final[dict[str, tuple[Callable[[Config], bool], str]]] = {
    "size": (_camera, "a camera"),
    "fps": (_camera, "a camera"),
    "channel": (_sound, "sound"),
    "sync_offset_ms": (_both, "picture and sound together"),
    **dict.fromkeys(("speed", "fast", "loop", "start_s"), (_recording, "a recording (--file, --demo)")),
    **dict.fromkeys(("video_track", "audio_track"), (_recording, "a recording (--file, --demo)")),
    "hwaccel": (_decoded, "the picture of a recording or a network stream (--file, --url)"),
    "rtsp_transport": (_rtsp, "an rtsp:// address (--url)"),
}
"""Key → whether it does anything under a configuration, and what it is meant for."""


def refuse_idle(loaded: Loaded) -> None:
    """Refuse flags that do nothing here; what a file or the environment says for other sources is left alone.

    Raises:
        UsageError: which flag, and what it is meant for.

    """
    from ...config.keys import keys

    if loaded.tables and not any(_given(loaded, path) for path in _SOURCES):
        raise UsageError(
            "the configuration has [[streams]]: `avel serve` runs them; avel-live runs one stream, so give "
            "it a source (--url, --camera, --mic, --file, --demo)"
        )
    for key in keys():
        if key.path in _MEANT_FOR and loaded.origins.get(key.path) == "flag":
            does, meant_for = _MEANT_FOR[key.path]
            if not does(loaded.config):
                raise UsageError(
                    f"{key.option.flags[0]} is for {meant_for}: beside {_named(loaded.config)} it does "
                    "nothing; leave it out"
                )


def _given(loaded: Loaded, path: str) -> bool:
    """Whether a flag or the environment says it."""
    return loaded.origins.get(path, "").startswith(("flag", "environment"))


def _named(config: Config) -> str:
    if config.demo:
        return "--demo"
    if config.file is not None:
        return "--file"
    if config.url is not None:
        return "--url"
    return "--mic alone" if config.camera == NONE else "--camera"
