"""Evaluation: the streaming table against asking window by window, and reports that can be opened."""

import json
import math

import numpy as np
import pytest
import torch
from avel_live.model.diia import DIIA
from avel_live.model.probabilities import softmax
from avel_live.model.training.evaluate import evaluate, to_json
from avel_live.model.training.loop import predict
from avel_live.model.training.metrics import accuracy
from avel_live.model.training.report import headline, write_html, write_png
from support.training import small_config, small_data


@pytest.fixture(scope="module")
def judged():
    torch.manual_seed(0)
    model = DIIA(small_config())
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.5)
    data = small_data(40)
    data.visual_mask[data.splits["test"][0], 7:] = False
    return model, data, evaluate(model, data, batch=4)


def asked(model, data, row, start, end):
    """Answers [end − start] of one window, asked by itself."""
    visual, audio = data.features(np.array([row]))
    masks = data.visual_mask[[row], start:end], data.audio_mask[[row], start:end]
    with torch.no_grad():
        inputs = (visual[:, start:end], audio[:, start:end], *masks)
        return model.eval()(*map(torch.from_numpy, inputs)).logits[0].argmax(-1).numpy()


def test_whole_windows_score_as_the_trainer_scores_them(judged):
    model, data, result = judged
    test = data.splits["test"]
    said = predict(model, data, test).argmax(-1)
    assert result.metrics.accuracy == pytest.approx(accuracy(said, data.target[test]))
    assert model.training  # put back


def test_streaming_table_equals_asking_each_window(judged):
    model, data, result = judged
    test = data.splits["test"]
    for past, wait in ((0, 0), (3, 2), (9, 0), (0, 9), (4, 5)):
        hits = [
            asked(model, data, row, t - past, t + wait + 1)[past] == data.target[row, t]
            for row in test
            for t in range(past, 10 - wait)
        ]
        assert result.streaming.by_past[past, wait] == pytest.approx(np.mean(hits))
        assert result.streaming.counts[past, wait] == len(hits)
    for wait in (0, 4, 9):
        hits = [
            asked(model, data, row, 0, min(t + wait, 9) + 1)[t] == data.target[row, t]
            for row in test
            for t in range(10)
        ]
        assert result.streaming.by_latency[wait] == pytest.approx(np.mean(hits))
    assert result.streaming.by_latency[9] == pytest.approx(result.metrics.accuracy)


def test_answers_at_once_are_scored_without_any_future(judged):
    model, data, result = judged
    test = data.splits["test"]
    at_once = np.array([[asked(model, data, row, 0, t + 1)[t] for t in range(10)] for row in test])
    target = data.target[test]
    background = len(data.labels) - 1
    events = target != background
    hits = ((at_once == target) & events).sum()
    assert result.online.segment.overall.hits == hits
    assert result.online.segment.overall.there == events.sum()
    assert result.online.segment.overall.said == (at_once != background).sum()
    plain = to_json(result)
    assert plain["online"]["accuracy"] == pytest.approx((at_once == target).mean(), abs=1e-6)
    assert 0 <= plain["average_map"] <= 1
    assert plain["segment_based"]["f1"] == pytest.approx(result.scores.segment.overall.f1, abs=1e-6)


def test_a_causal_network_gains_nothing_by_waiting():
    torch.manual_seed(0)
    model = DIIA(small_config(causal=True))
    result = evaluate(model, small_data(40))
    assert np.ptp(result.streaming.by_latency) == pytest.approx(0)


def test_temperature_changes_confidence_only(judged):
    model, data, result = judged
    hot = evaluate(model, data, streaming=False, temperature=50.0)
    assert hot.metrics.accuracy == result.metrics.accuracy
    assert hot.metrics.calibration_error != pytest.approx(result.metrics.calibration_error)
    assert hot.streaming is None
    assert softmax(np.array([[1000.0, 0.0]])).tolist() == [[1.0, 0.0]]


def test_json_is_plain_and_complete(judged):
    plain = to_json(judged[2])
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["accuracy"] == pytest.approx(judged[2].metrics.accuracy, abs=1e-6)
    assert plain["streaming"]["accuracy_by_past_and_latency_s"][9][1] is None
    assert set(plain["event_f1"]) == {"0.3", "0.5", "0.7"}


def test_the_oracle_stands_beside_the_accuracy(judged):
    lines = headline(judged[2])
    assert lines[0][0].startswith("accuracy")
    assert "perfect video classifier" in lines[1][0]
    assert float(lines[1][1]) == pytest.approx(100 * judged[2].metrics.oracle, abs=0.05)


def test_reports_are_written(judged, tmp_path):
    write_png(judged[2], tmp_path / "a.png")
    write_html(judged[2], tmp_path / "a.html", "head <1> on test")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "a.html").read_text()
    assert "head &lt;1&gt; on test" in page
    assert "data:image/png;base64," in page
    assert "http" not in page.replace("http-equiv", "")  # one file, nothing fetched
    assert not math.isnan(judged[2].metrics.oracle)
