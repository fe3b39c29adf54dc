"""Identifiers made of names: every name its own, in every script, within what files and topics can take."""

from __future__ import annotations

import json
import socket
import unicodedata
from pathlib import Path

import pytest
from avel_live.model.labels import EVENT_NAMES
from avel_live.realtime.config import naming
from avel_live.realtime.config.load import config_from
from avel_live.realtime.core.names import ascii_id, slug, slugs
from avel_live.realtime.sinks.mqtt.discovery import discovery_payload, discovery_topic
from hypothesis import given
from hypothesis import strategies as st

FAMILIES = [
    ("Дверь", "Двор", "Окно", "собака", "кошка"),
    ("Haustür", "Haustur", "Haustor", "Haust_r", "Straße", "Strasse"),
    ("门", "窗", "犬", "いぬ", "イヌ"),
    ("हिन्दी", "हिन्द", "हनदी"),  # differ in their vowel signs, which are marks
    ("🐶", "🐱", "🐶 Hund", "🐱 Hund", "!!!", "x"),
    ("باب", "بابا", "שלום"),
    ("Kamera " + "ä" * 300, "Kamera " + "ä" * 301),
]


@pytest.mark.parametrize("names", FAMILIES, ids=lambda names: names[0][:8])
def test_names_that_differ_in_a_letter_get_identifiers_that_differ(names: tuple[str, ...]) -> None:
    for turn in (
        slug,
        lambda name: ascii_id(slug(name)),
        lambda name: discovery_topic("homeassistant", name),
    ):
        assert len({turn(name) for name in names}) == len(names)  # type: ignore[no-untyped-call]


def test_plain_names_stay_what_they_were() -> None:
    assert slug("Front door") == "front_door"
    assert slug("Baby cry, infant cry") == "baby_cry_infant_cry"
    assert slug("Haustür 2") == "haustür_2"
    assert slugs(EVENT_NAMES) == {name: slug(name) for name in EVENT_NAMES}
    assert slug("") == "x"


def test_classes_that_would_share_an_identifier_get_one_each() -> None:
    labels = ("C", "C#", "C++", "c", "Dog", "dog (big)", "dog big", "background")
    assert len(set(slugs(labels).values())) == len(labels)
    components = discovery_payload("avel/door", "door", labels, "1")["components"]
    assert len(components) == 4 + len(labels) - 1
    for field in ("unique_id", "state_topic"):
        found = [one[field] for key, one in components.items() if key.startswith("class_")]
        assert len(set(found)) == len(labels) - 1


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), unique=True, max_size=12))
def test_any_names_get_identifiers_that_files_and_topics_take(names: list[str]) -> None:
    found = slugs(names)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    for one in found.values():
        assert one
        assert len(one.encode()) <= 100
        assert unicodedata.is_normalized("NFC", one)
        assert all(c == "_" or unicodedata.category(c)[0] in "LMN" for c in one)
        short = ascii_id(one)
        assert short.isascii()
        assert short.replace("_", "a").isalnum()
    json.dumps(found)


def test_the_two_spellings_of_one_letter_are_one_name() -> None:
    assert slug(unicodedata.normalize("NFD", "Haustür")) == slug(unicodedata.normalize("NFC", "Haustür"))


def test_streams_without_a_name_are_told_apart_and_keep_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [
        {},
        {"camera": "1"},
        {"camera": "none"},
        {"url": "rtsp://cam/1"},
        {"demo": True},
        {"file": "a.mp4"},
    ]
    machine = tmp_path / "machine-id"
    monkeypatch.setattr(naming, "MACHINE_ID", machine)
    names = set()
    for text in ("one\n", "two\n"):
        machine.write_text(text)
        names |= {config_from(source).stream_name for source in sources}
    assert len(names) == 2 * len(sources)
    assert all(slug(name).startswith("avel_") for name in names)
    assert config_from({}).stream_name == config_from({"mqtt.topic": "other"}).stream_name
    assert config_from({"name": "Tür"}).stream_name == "Tür"
    # A container without a machine's id has a new host name every time.
    machine.unlink()
    hosts = iter(("0123456789ab", "ba9876543210"))
    monkeypatch.setattr(socket, "gethostname", lambda: next(hosts))
    assert config_from({}).stream_name == config_from({}).stream_name
