"""The benchmark: its arithmetic, its tables, and one small run of the real thing."""

import io
import json

import pytest
from avel_live.realtime.commands.bench import _read, precisions
from avel_live.realtime.commands.bench.meters import Stopwatch, peak_memory_mb, percentiles
from avel_live.realtime.commands.bench.tables import compare, look_up, show
from avel_live.realtime.core.clock import ManualClock, cpu_s
from avel_live.realtime.core.errors import UsageError
from rich.console import Console


def test_a_stopwatch_notes_every_call_even_one_that_fails():
    clock = ManualClock()
    watch = Stopwatch(clock)

    def work(seconds):
        clock.advance(seconds)
        if seconds > 1:
            raise ValueError("too long")
        return seconds

    timed = watch.timed("visual", work)
    assert timed(0.25) == 0.25
    timed(0.75)
    with pytest.raises(ValueError, match="too long"):
        timed(2.0)
    watch.timed("audio", work)
    assert watch.taken["visual"] == [250.0, 750.0, 2000.0]
    summary = watch.summary(10.0)
    assert set(summary) == {"visual"}, "stages that were never run are left out"
    assert summary["visual"]["ms_per_s"] == 300.0
    assert summary["visual"]["p50"] == 750.0


def test_percentiles_and_process_figures():
    assert percentiles([float(k) for k in range(101)]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert percentiles([]) == {"p50": 0.0, "p95": 0.0, "p99": 0.0}
    assert peak_memory_mb() > 10
    assert cpu_s() > 0


def _result(rtf, memory, **more):
    return {
        "profile": "lite",
        "backend": "onnxruntime",
        "precision": "fp32",
        "note": "",
        "seconds": 10.0,
        "real_time_factor": rtf,
        "cpu_s_per_s": 0.2,
        "decode_cpu_s_per_s": 0.05,
        "peak_memory_mb": memory,
        "live": {"latency_ms": {"p50": 20.0, "p95": 25.0, "p99": 33.0}, "first_record_s": 0.8},
        "window": {"hop_ms": 100.0, "ten_ms": 990.0, "times_cheaper": 9.9},
        "stages": {"visual": {"p50": 40.0, "p95": 41.0, "p99": 42.0, "calls": 40.0, "ms_per_s": 160.0}},
        **more,
    }


def _report(*results):
    return {"bench": 1, "machine": "a machine", "clips": ["a.mp4"], "results": list(results)}


def _text(draw, *reports):
    out = io.StringIO()
    draw(*reports, Console(file=out, width=80))
    return out.getvalue()


def test_a_report_fits_a_terminal():
    failed = {"profile": "lite", "backend": "tensorrt", "precision": "fp16", "error": "needs a GPU"}
    text = _text(show, _report(_result(0.125, 218.4), failed))
    lines = text.splitlines()
    assert max(len(line) for line in lines) <= 80
    row = next(line for line in lines if line.startswith("lite onnxruntime fp32 "))
    assert row.split()[3:] == ["0.125", "0.200", "0.050", "20", "25", "33", "0.8", "218", "9.9"]
    assert "lite tensorrt fp16: needs a GPU" in text
    assert "visual" in text


def test_a_long_name_costs_no_figure():
    slow = _result(0.8125, 1604.4, profile="paper-torchvision", precision="int8")
    slow["live"] = {"latency_ms": {"p50": 1191.0, "p95": 2222.0, "p99": 3333.0}, "first_record_s": 12.25}
    text = _text(show, _report(slow))
    heading, row = text.splitlines()[1:3]
    assert heading.split() == [
        "configuration",
        "RTF",
        "CPU",
        "decode",
        "p50",
        "p95",
        "p99",
        "start",
        "MB",
        "ten/hop",
    ]
    assert row.split()[1:] == ["0.812", "0.200", "0.050", "1191", "2222", "3333", "12.2", "1604", "9.9"]


def test_two_runs_compared():
    text = _text(compare, _report(_result(0.2, 300.0)), _report(_result(0.1, 303.0)))
    assert "0.200" in text
    assert "-50%" in text
    assert "+1%" in text
    other = {**_report(_result(0.2, 300.0)), "machine": "another"}
    assert "another machine" in _text(compare, other, _report(_result(0.1, 300.0)))


def test_looking_up_what_was_not_measured():
    assert look_up({"live": {"latency_ms": {"p50": 1}}}, ("live", "latency_ms", "p50")) == 1.0
    assert look_up({"live": None}, ("live", "latency_ms")) is None
    assert look_up({}, ("live",)) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"bench": 2}'])
def test_a_file_that_is_no_report(tmp_path, text):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="not a report"):
        _read(path)
    path.write_text(json.dumps(_report()))
    assert _read(path)["results"] == []


def test_onnx_runtime_is_measured_in_both_its_precisions():
    assert precisions("onnxruntime") == ["fp32", "int8"]
    assert precisions("auto") == ["auto"]
