"""Calibration files: what is written is read back, what is wrong or foreign is refused with the reason."""

from __future__ import annotations

import json

import numpy as np
import pytest
from avel_live.calibration.confidence import Calibrator
from avel_live.calibration.contents import Calibration, Confidence, DeviceFile, Devices, Thresholds
from avel_live.calibration.files import (
    check_fits,
    device_path,
    load_calibration,
    load_device,
    save,
    stored_devices,
)
from avel_live.calibration.sync import SyncEstimate
from avel_live.calibration.thresholds import Rules
from avel_live.model.errors import ModelFileError
from avel_live.model.labels import LABELS
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

SHA = "ab" * 32
PAIR = Devices(camera="0", microphone="USB Audio: né 2")


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def rules() -> Rules:
    enter = np.linspace(0.2, 0.9, len(LABELS) - 1)
    return Rules(enter, enter * 0.6, np.full(len(enter), 2.0))


def calibration(**changes) -> Calibration:
    temperatures = Calibrator.from_temperatures(np.linspace(2, 1, 10), len(LABELS))
    values = {
        "made": "2025-01-01T00:00:00+00:00",
        "checkpoint": SHA,
        "profile": "lite",
        "precision": "fp32",
        "labels": list(LABELS),
        "confidence": Confidence.of(temperatures, 300, 0.12, 0.03),
        "thresholds": Thresholds.of(rules(), LABELS, event_f1=0.6),
    }
    return Calibration(**{**values, **changes})


def test_round_trip(tmp_path):
    path = tmp_path / "deep" / "one.json"
    save(path, calibration())
    found = load_calibration(path)
    assert found == calibration()
    np.testing.assert_allclose(
        found.confidence.calibrator(len(LABELS)).temperatures, np.linspace(2, 1, 10), rtol=1e-12
    )
    np.testing.assert_array_equal(found.thresholds.rules(LABELS).enter, rules().enter)
    assert [p.name for p in path.parent.iterdir()] == ["one.json"]


def test_vector_scaling_round_trip(tmp_path):
    rng = np.random.default_rng(0)
    c = Calibrator("vector", rng.normal(1, 0.1, (10, len(LABELS))), rng.normal(size=(10, len(LABELS))))
    save(tmp_path / "v.json", calibration(confidence=Confidence.of(c, 5, 0.2, 0.1)))
    again = load_calibration(tmp_path / "v.json").confidence.calibrator(len(LABELS))
    np.testing.assert_array_equal(again.scale, c.scale)
    np.testing.assert_array_equal(again.bias, c.bias)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "one.json"
    save(path, calibration())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(path, calibration(precision="int8"))
    assert load_calibration(path).precision == "fp32"
    assert len(list(tmp_path.glob("*.json*"))) == 1


FITS = {"checkpoint": SHA, "precision": "fp32", "labels": LABELS}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"checkpoint": "cd" * 32}, "checkpoint abababababab, but cdcdcdcdcdcd"),
        ({"precision": "int8"}, "precision fp32, but int8"),
        ({"labels": LABELS[:-2]}, "labels"),
    ],
)
def test_a_foreign_calibration_is_refused_with_the_reason(changes, reason):
    check_fits(calibration(), "x.json", **FITS)
    with pytest.raises(ModelFileError, match=reason):
        check_fits(calibration(), "x.json", **{**FITS, **changes})


def test_thresholds_of_other_devices_are_refused():
    room = calibration(thresholds=Thresholds.of(rules(), LABELS, devices=PAIR.model_dump()))
    check_fits(room, "x", **FITS, devices=PAIR)
    check_fits(room, "x", **FITS, devices=None)
    with pytest.raises(ModelFileError, match=r"né 2.*calibrate background"):
        check_fits(room, "x", **FITS, devices=Devices(camera="1", microphone=PAIR.microphone))


def damaged(**changes) -> dict:
    tree = json.loads(calibration().model_dump_json(exclude_none=True))
    for key, value in changes.items():
        part = tree
        *way, last = key.split("__")
        for name in way:
            part = part[name]
        part[last] = value
    return tree


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 2}, "expected version 1, got 2"),
        ({"format": "other"}, "expected format"),
        ({"checkpoint": "short"}, "checkpoint"),
        ({"labels": ["a"]}, "labels"),
        ({"confidence__temperatures": [1.0] * 9}, "10 temperatures"),
        ({"confidence__temperatures": [1.0] * 9 + [-1.0]}, "greater than 0"),
        ({"confidence__temperatures": [1.0] * 9 + [float("nan")]}, "calibration"),
        ({"confidence__method": "vector"}, "scale and bias"),
        ({"thresholds__enter__Bark": 1.5}, "less than or equal to 1"),
        ({"thresholds__leave__Bark": 0.99}, "leave above enter"),
        ({"thresholds__enter__Barking": 0.5}, "classes"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_damage_is_named(tmp_path, changes, reason):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(damaged(**changes)))
    with pytest.raises(ModelFileError, match=reason) as caught:
        load_calibration(path)
    assert "\n" not in str(caught.value)
    assert "avel calibrate" in str(caught.value)


def test_missing_and_oversized(tmp_path):
    with pytest.raises(ModelFileError, match="no such file"):
        load_calibration(tmp_path / "none.json")
    (tmp_path / "big.json").write_bytes(b" " * 5_000_000)
    with pytest.raises(ModelFileError, match="too large"):
        load_calibration(tmp_path / "big.json")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
@example(b"[" * 100_000)
@example(b'{"format": "avel-calibration", "version": 1' + b', "a": {"b": 1e999}}')
def test_any_bytes_give_a_model_file_error(tmp_path, content):
    path = tmp_path / "fuzz.json"
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        load_calibration(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["checkpoint", "labels", "confidence", "confidence__temperatures", "thresholds__enter"]),
    JSON,
)
def test_any_value_in_any_place_is_read_or_refused(tmp_path, key, value):
    path = tmp_path / "fuzz.json"
    path.write_text(json.dumps(damaged(**{key: value})))
    try:
        found = load_calibration(path)
    except ModelFileError:
        return
    if found.confidence is not None:
        assert np.isfinite(found.confidence.calibrator(len(found.labels)).scale).all()


def measured() -> DeviceFile:
    found = SyncEstimate(83.4, 75.0, 92.0, 7, 8, 9, "clap", 1e-6, 33.3)
    return DeviceFile.of(found, PAIR, "2025-01-01T00:00:00+00:00")


def test_device_files_are_found_by_their_pair():
    assert load_device(PAIR) is None
    save(device_path(PAIR), measured())
    assert load_device(PAIR) == measured()
    assert load_device(Devices(camera="1", microphone=PAIR.microphone)) is None
    assert str(measured()) == "+83 ms ± 8"
    assert stored_devices() == ([measured()], [])
    device_path(PAIR).write_text("{}")
    assert len(stored_devices()[1]) == 1
    with pytest.raises(ModelFileError, match="sync"):
        load_device(PAIR)


def test_pairs_with_alike_names_have_files_of_their_own():
    a, b = Devices(camera="a/b", microphone="x"), Devices(camera="a b", microphone="x")
    assert device_path(a) != device_path(b)
    assert device_path(Devices(camera="../../etc", microphone="p" * 300)).parent == device_path(a).parent
