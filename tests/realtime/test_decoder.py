"""The streaming decoder: what it settles, what it announces, and that its story stays consistent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from avel_live.model.labels import BACKGROUND, NUM_CLASSES, label_index
from avel_live.realtime.core.errors import UsageError
from avel_live.realtime.core.messages import Event, Scores, Settled
from avel_live.realtime.events import Decoder, DecoderConfig, DecoderStep, EventSpan, Ledger, class_set
from avel_live.realtime.events.fusion import LookAccumulator, context_weight
from hypothesis import given, settings
from hypothesis import strategies as st

BARK, CAT, GOAT = label_index("Bark"), label_index("Cat"), label_index("Goat")


def posterior(label: int, p: float) -> np.ndarray:
    """`p` at `label`, the rest spread evenly (on *background* when the label is an event)."""
    out = np.full(NUM_CLASSES, (1.0 - p) / (NUM_CLASSES - 1), dtype=np.float32)
    if label != BACKGROUND:
        out[:] = (1.0 - p) * 0.2 / (NUM_CLASSES - 2)
        out[BACKGROUND] = (1.0 - p) * 0.8
    out[label] = p
    return out


def look(newest: int, rows: list[np.ndarray], valid: list[bool] | None = None) -> Scores:
    p = np.stack(rows).astype(np.float32)
    n = len(rows)
    return Scores(
        hop=newest,
        first_index=newest - n + 1,
        logits=np.log(np.maximum(p, 1e-9)),
        probabilities=p,
        attention=np.full((n, 7, 7), 1 / 49, dtype=np.float32),
        valid=np.ones(n, dtype=bool) if valid is None else np.asarray(valid),
    )


def stream(seconds: list[np.ndarray], window: int = 10) -> Iterator[Scores]:
    """Every window over `seconds`, each look at a second saying the same."""
    for newest in range(len(seconds)):
        yield look(newest, seconds[max(0, newest - window + 1) : newest + 1])


def run(decoder: Decoder, looks: Iterator[Scores]) -> tuple[list[Settled], list[Event]]:
    steps: list[DecoderStep] = [decoder.push(scores) for scores in looks]
    steps.append(decoder.finish())
    return [s for step in steps for s in step.settled], [e for step in steps for e in step.events]


def final(events: list[Event]) -> list[EventSpan]:
    ledger = Ledger()
    ledger.extend(events)
    return list(ledger.spans)


def marks(text: str, p: float = 0.8) -> list[np.ndarray]:
    """One character a second: B(ark), C(at), G(oat), `.` background."""
    labels = {"B": BARK, "C": CAT, "G": GOAT, ".": BACKGROUND}
    return [posterior(labels[c], p) for c in text]


def story(text: str, config: DecoderConfig) -> list[tuple[int, float, float | None]]:
    _, events = run(Decoder(config), stream(marks(text)))
    return [(s.label, s.start_s, s.end_s) for s in final(events)]


def test_an_event_is_announced_at_once_and_ends_where_it_ended() -> None:
    decoder = Decoder(DecoderConfig(settle=2))
    first = {}
    for scores in stream(marks("..BBB....")):
        for event in decoder.push(scores).events:
            first.setdefault(event.kind, (scores.newest_index, event))
    newest, start = first["start"]
    assert (newest, start.label, start.start_s, start.end_s) == (2, BARK, 2.0, None)
    newest, end = first["end"]
    # One silent second ends it; two more settle that one.
    assert (newest, end.start_s, end.end_s) == (7, 2.0, 5.0)
    assert end.confidence == pytest.approx(0.8, abs=1e-3)
    assert set(first) == {"start", "end"}


def test_hold_bridges_gaps_and_blips_of_another_class() -> None:
    assert story("BB.BB...", DecoderConfig()) == [(BARK, 0.0, 2.0), (BARK, 3.0, 5.0)]
    hold = DecoderConfig(hold_s=1.0)
    assert story("BB.BB...", hold) == [(BARK, 0.0, 5.0)]
    assert story("BB..BB..", hold) == [(BARK, 0.0, 2.0), (BARK, 4.0, 6.0)]
    assert story("BBCBB...", DecoderConfig(hold_s=1.0, min_duration_s=2.0)) == [(BARK, 0.0, 5.0)]


def test_another_class_takes_over_without_overlap() -> None:
    assert story("BBBCCC..", DecoderConfig(min_duration_s=2.0)) == [(BARK, 0.0, 3.0), (CAT, 3.0, 6.0)]
    # The newcomer is too short to push the other out, and the other never came back.
    assert story("BBBC....", DecoderConfig(min_duration_s=2.0)) == [(BARK, 0.0, 3.0)]


def test_too_short_is_never_announced() -> None:
    for early in (True, False):
        config = DecoderConfig(min_duration_s=2.0, early=early)
        _, events = run(Decoder(config), stream(marks("..B....")))
        assert events == []
        _, events = run(Decoder(config), stream(marks("..BB...")))
        assert [(e.kind, e.start_s, e.end_s) for e in events if e.kind != "update"] == [
            ("start", 2.0, None),
            ("end", 2.0, 4.0),
        ]


def test_a_long_enough_event_is_announced_when_that_is_settled() -> None:
    decoder = Decoder(DecoderConfig(min_duration_s=5.0, settle=2))
    said = [
        (scores.newest_index, event.kind)
        for scores in stream(marks("..BBBBBBBBBB...."))
        for event in decoder.push(scores).events
    ]
    assert said[0] == (8, "start")  # second 6 is the fifth of it, and settled two later


def test_choices_that_leave_nothing_to_say_are_refused() -> None:
    with pytest.raises(UsageError, match="classes and ignore both name 'Bark'"):
        DecoderConfig(classes=frozenset({BARK, CAT}), ignore=frozenset({BARK}))
    with pytest.raises(UsageError, match="leave no class"):
        DecoderConfig(classes=frozenset({BACKGROUND}))
    with pytest.raises(UsageError, match="leave no class"):
        DecoderConfig(ignore=frozenset(range(BACKGROUND)))
    own = DecoderConfig(labels=("Own 0", "background"), classes=frozenset({0}))
    assert own.wanted().tolist() == [True]


def test_a_second_by_itself_must_be_surer_than_an_event_that_lasts() -> None:
    config = DecoderConfig(brief=0.7)
    _, unsure = run(Decoder(config), stream(marks("..B....", p=0.6)))
    assert unsure == []
    _, sure = run(Decoder(config), stream(marks("..B....", p=0.8)))
    assert [(e.kind, e.start_s, e.end_s) for e in sure] == [("start", 2.0, None), ("end", 2.0, 3.0)]


def test_an_unsure_event_is_announced_once_it_lasts_with_its_true_beginning() -> None:
    decoder = Decoder(DecoderConfig(brief=0.7))
    said = [
        (scores.newest_index, e)
        for scores in stream(marks("..BBB...", p=0.6))
        for e in decoder.push(scores).events
    ]
    newest, start = said[0]
    assert (newest, start.kind, start.start_s) == (3, "start", 2.0)


def test_an_unsure_blip_of_another_class_takes_nothing_over() -> None:
    config = DecoderConfig(brief=0.7, hold_s=1.0)
    assert [story("BBCBB...", replace(config, brief=b)) for b in (0.9, 0.0)] == [
        [(BARK, 0.0, 5.0)],
        [(BARK, 0.0, 2.0), (CAT, 2.0, 3.0), (BARK, 3.0, 5.0)],
    ]


def test_a_settled_answer_corrects_a_provisional_one() -> None:
    decoder = Decoder(DecoderConfig(settle=2, context_floor=0.1))
    quiet, bark = posterior(BACKGROUND, 0.95), posterior(BARK, 0.75)
    events = [
        *decoder.push(look(0, [quiet])).events,
        *decoder.push(look(1, [quiet, bark])).events,
    ]
    assert [e.kind for e in events] == ["start"]
    assert decoder.provisional()[0] == BARK
    events += decoder.push(look(2, [quiet] * 3)).events
    events += decoder.push(look(3, [quiet] * 4)).events
    assert [e.kind for e in events] == ["start", "retract"]
    assert final(events) == []


def test_start_is_corrected_when_later_looks_move_it() -> None:
    decoder = Decoder(DecoderConfig(settle=3, context_floor=0.05, update_step=1.0))
    quiet, bark = posterior(BACKGROUND, 0.6), posterior(BARK, 0.95)
    events = [*decoder.push(look(0, [quiet])).events, *decoder.push(look(1, [quiet, bark])).events]
    for newest in (2, 3, 4):
        events += decoder.push(look(newest, [bark] * (newest + 1))).events
    assert [(e.kind, e.start_s) for e in events] == [("start", 1.0), ("update", 0.0)]


def test_cool_down_and_class_choice() -> None:
    assert story("BB...BB...BB...", DecoderConfig(cool_down_s=5.0)) == [(BARK, 0.0, 2.0), (BARK, 10.0, 12.0)]
    assert story("BB..CC..", DecoderConfig(ignore=frozenset({BARK}))) == [(CAT, 4.0, 6.0)]
    assert story("BB..CC..", DecoderConfig(classes=class_set(["bark"]))) == [(BARK, 0.0, 2.0)]
    with pytest.raises(UsageError, match="did you mean"):
        class_set(["barc"])


def test_thresholds_per_class() -> None:
    enter = [0.4] * (NUM_CLASSES - 1)
    enter[BARK] = 0.9
    assert story("BB..CC..", DecoderConfig(enter=tuple(enter))) == [(CAT, 4.0, 6.0)]


def test_leaving_follows_entering_unless_it_is_given() -> None:
    assert DecoderConfig(enter=0.2).per_class("leave")[0] == pytest.approx(0.08)
    assert DecoderConfig(enter=0.2, leave=0.1).per_class("leave")[0] == pytest.approx(0.1)


def test_hysteresis_keeps_a_weakening_event() -> None:
    seconds = [posterior(BARK, p) for p in (0.6, 0.4, 0.38, 0.15)] + marks("...")
    settled, _ = run(Decoder(DecoderConfig(settle=0, background_competes=False)), stream(seconds))
    assert [s.label for s in settled] == [BARK, BARK, BARK] + [BACKGROUND] * 4


def test_another_event_must_be_clearly_better_but_nothing_only_likelier() -> None:
    bark = posterior(BARK, 0.8)
    shares = {BARK: 0.3, CAT: 0.5, BACKGROUND: 0.2}
    for taken, label in (({}, BARK), ({CAT: 0.65, BACKGROUND: 0.1, BARK: 0.2}, CAT)):
        second = np.zeros(NUM_CLASSES, np.float32)
        for k, p in {**shares, **taken}.items():
            second[k] = p
        settled, _ = run(Decoder(DecoderConfig(settle=0)), stream([bark, second]))
        assert [s.label for s in settled] == [BARK, label]
    for nothing, label in ((0.44, BARK), (0.46, BACKGROUND)):
        second = np.zeros(NUM_CLASSES, np.float32)
        second[[BARK, BACKGROUND, GOAT]] = 0.45, nothing, 0.55 - nothing
        settled, _ = run(Decoder(DecoderConfig(settle=0)), stream([bark, second]))
        assert [s.label for s in settled] == [BARK, label]


def test_missing_seconds_carry_no_evidence_and_are_reported() -> None:
    decoder = Decoder(DecoderConfig(settle=1))
    rows = marks("BBBBB")
    settled = list(decoder.push(look(4, rows, [True, True, False, True, True])).settled)
    settled += decoder.finish().settled
    assert [(s.index, s.label, s.looks) for s in settled] == [
        (0, BARK, 1),
        (1, BARK, 1),
        (2, BACKGROUND, 0),
        (3, BARK, 1),
        (4, BARK, 1),
    ]
    assert settled[2].confidence == 0.0


def test_skipped_hops_leave_no_hole_and_a_long_silence_ends_the_event() -> None:
    decoder = Decoder(DecoderConfig(settle=2))
    bark = marks("B" * 10)
    events, settled = [], []
    for newest in (9, 14, 15, 500, 501):
        step = decoder.push(look(newest, bark))
        events += step.events
        settled += step.settled
    step = decoder.finish()
    events += step.events
    settled += step.settled
    assert [(s.start_s, s.end_s) for s in final(events)] == [(0.0, 16.0), (491.0, 502.0)]
    indices = [s.index for s in settled]
    assert indices == [*range(16), *range(491, 502)]


def test_the_remainder_of_a_file_keeps_its_true_end() -> None:
    decoder = Decoder(DecoderConfig(settle=2))
    for scores in stream(marks("BBBB")):
        decoder.push(scores)
    step = decoder.finish(end_s=3.6)
    assert [(s.start_s, s.end_s) for s in step.settled] == [(2.0, 3.0), (3.0, 3.6)]
    assert step.events[-1].end_s == 3.6


def test_looks_with_more_context_weigh_more() -> None:
    config = DecoderConfig()
    weights = [context_weight(past, future, config) for past, future in ((0, 0), (9, 0), (9, 1), (6, 3))]
    assert weights == sorted(weights)
    assert weights[0] == pytest.approx(config.context_floor**2)
    assert weights[-1] == pytest.approx(1.0)
    looks = LookAccumulator(config)
    looks.add(0, posterior(BARK, 0.9), 1.0)
    looks.add(0, posterior(CAT, 0.9), 0.5)
    fused = looks.fused(0)
    assert fused.looks == 2
    assert fused.probabilities[BARK] > fused.probabilities[CAT]
    assert fused.probabilities.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"settle": 10}, "settle"),
        ({"enter": 0.2, "leave": 0.5}, "leave threshold"),
        ({"enter": (0.5, 0.5)}, "one number or 28"),
        ({"hold_s": -1.0}, "hold_s"),
        ({"brief": 1.5}, "brief"),
        ({"context_floor": 0.0}, "context_floor"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        DecoderConfig(**wrong)  # type: ignore[arg-type]


# Properties ---------------------------------------------------------------------------------------

CLASSES = 4  # three event classes and background: small, so that collisions are frequent
NAMES = tuple(f"class {k}" for k in range(CLASSES))


@st.composite
def streams(draw: st.DrawFn) -> list[Scores]:
    """Random looks that disagree, with skipped hops, missing seconds and repeated windows."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    sharpness = draw(st.sampled_from([0.3, 1.0, 3.0]))
    jumps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 2, 5, 13]), min_size=1, max_size=40))
    missing = draw(st.sampled_from([0.0, 0.2]))
    newest, out = -1, []
    for hop, jump in enumerate(jumps):
        newest += jump
        n = min(newest + 1, 10)
        p = rng.dirichlet(np.full(CLASSES, 1 / sharpness), size=n).astype(np.float32)
        out.append(
            Scores(
                hop,
                newest - n + 1,
                np.log(np.maximum(p, 1e-9)),
                p,
                np.zeros((n, 7, 7), np.float32),
                rng.random(n) >= missing,
            )
        )
    return out


@st.composite
def configs(draw: st.DrawFn) -> DecoderConfig:
    enter = draw(st.sampled_from([0.0, 0.3, 0.5]))
    return DecoderConfig(
        settle=draw(st.integers(0, 9)),
        pool=draw(st.sampled_from(["log", "linear"])),
        context_floor=draw(st.sampled_from([0.1, 0.5, 1.0])),
        enter=enter,
        leave=enter * draw(st.sampled_from([0.5, 1.0])),
        margin=draw(st.sampled_from([0.0, 0.2])),
        background_competes=draw(st.booleans()),
        min_duration_s=draw(st.sampled_from([0.0, 1.0, 2.0, 4.0])),
        brief=draw(st.sampled_from([0.0, 0.4, 0.7])),
        hold_s=draw(st.sampled_from([0.0, 1.0, 3.0])),
        cool_down_s=draw(st.sampled_from([0.0, 3.0])),
        early=draw(st.booleans()),
        labels=NAMES,
    )


@given(streams(), configs())
@settings(deadline=None, max_examples=100)
def test_the_story_is_consistent(looks: list[Scores], config: DecoderConfig) -> None:
    decoder = Decoder(config)
    ledger = Ledger()
    records: list[Event] = []
    settled: list[Settled] = []
    ended: dict[int, Event] = {}
    for step in [*(decoder.push(scores) for scores in looks), decoder.finish()]:
        settled += step.settled
        for event in step.events:
            assert event.id not in ended, "an event that ended stays as it ended"
            assert 0 <= event.confidence <= 1
            records.append(event)
            ledger.apply(event)
            open_now = [span for span in ledger.spans if span.end_s is None]
            assert len(open_now) <= 1
            if event.kind == "end":
                ended[event.id] = event
        assert decoder.pending <= 10 + config.settle

    assert ledger.open is None
    spans = sorted(ledger.spans, key=lambda span: span.start_s)
    for span in spans:
        assert span.end_s is not None
        assert span.end_s - span.start_s >= max(1e-9, config.per_class("min_duration_s")[span.label] - 1e-6)
        assert span.end_s - span.start_s >= 2.0 - 1e-6 or span.confidence >= config.brief - 1e-6
    for before, after in pairwise(spans):
        assert before.end_s is not None
        assert before.end_s <= after.start_s + 1e-9
        if before.label == after.label:
            cool = config.per_class("cool_down_s")[after.label]
            assert after.start_s >= before.end_s + cool - 1e-6
    # Replaying the records gives the same state, and the records alone say who was announced.
    assert final(records) == list(ledger.spans)
    ids = [event.id for event in records if event.kind == "start"]
    assert ids == list(range(len(ids)))
    if not config.early:
        assert all(event.kind != "retract" for event in records)

    # Every second once, in order, at most one label each, and events only where seconds say so.
    indices = [s.index for s in settled]
    assert indices == sorted(set(indices))
    assert indices[-1] == looks[-1].newest_index
    for span in spans:
        assert any(s.label == span.label and s.start_s == span.start_s for s in settled)


@given(streams(), configs(), st.sampled_from([1.5, 2.0, 3.0, 10.0]))
@settings(max_examples=100, deadline=None)
def test_where_events_must_last_whatever_is_announced_lasted(
    looks: list[Scores], config: DecoderConfig, least_s: float
) -> None:
    _, events = run(Decoder(replace(config, min_duration_s=least_s)), iter(looks))
    assert all(e.kind != "retract" for e in events)
    ends = {e.id: e for e in events if e.kind == "end"}
    assert set(ends) == {e.id for e in events}
    assert all(e.end_s is not None and e.end_s - e.start_s >= least_s - 1e-6 for e in ends.values())


@given(streams(), st.sampled_from([0.0, 0.4]), st.sampled_from([0.0, 0.15]))
@settings(deadline=None, max_examples=60)
def test_without_settling_labels_are_the_argmax_with_hysteresis(
    looks: list[Scores], threshold: float, margin: float
) -> None:
    config = DecoderConfig(
        settle=0,
        context_floor=1.0,
        enter=threshold,
        leave=threshold / 2,
        margin=margin,
        min_duration_s=0.0,
        hold_s=0.0,
        labels=NAMES,
    )
    # One look each: only windows that follow one another, each adding exactly one second.
    looks = [
        Scores(k, k, s.logits[-1:], s.probabilities[-1:], s.attention[-1:], np.ones(1, dtype=bool))
        for k, s in enumerate(looks)
    ]
    settled, _ = run(Decoder(config), iter(looks))

    expected, holder = [], CLASSES - 1
    for scores in looks:
        p = [float(v) for v in scores.probabilities[0]]
        allowed = [k for k in range(CLASSES - 1) if p[k] >= threshold] + [CLASSES - 1]
        best = max(allowed, key=lambda k: p[k])
        rival = max((p[k] for k in allowed[:-1]), default=0.0)
        stays = holder != CLASSES - 1 and p[holder] >= max(threshold / 2, p[-1])
        stays = stays and rival <= p[holder] + margin
        holder = holder if stays else best
        expected.append(holder)
    assert [s.label for s in settled] == expected
    if threshold == 0 and margin == 0:
        assert expected == [int(np.argmax(s.probabilities[0])) for s in looks]


def test_memory_is_bounded_over_a_long_stream() -> None:
    rng = np.random.default_rng(3)
    decoder = Decoder(DecoderConfig(settle=9, labels=NAMES, cool_down_s=30.0))
    for newest in range(1_000):
        p = rng.dirichlet(np.ones(CLASSES), size=10)
        if newest >= 9:
            decoder.push(look(newest, list(p)))
        assert decoder.pending <= 19
    assert len(decoder._state.cooling) < CLASSES
