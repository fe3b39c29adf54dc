"""Ten-second streams composed from single pictures and single sounds, with the truth known per second.

The real thing, a video with both tracks and a label for each second, is what the bundled model's
training data lacks. What it has are photographs and recordings. A *scene* pairs a row of pictures with
a ten-second *take* of sound, so that the event is seen and heard, only heard, only seen, or neither, and
begins and ends anywhere. The label of a second is the event that is audible *and* visible in it.

Everything here works on evidence (`visual_concepts`, `audio_concepts`), the numbers that the head will
see, not on pictures or waveforms: a batch takes milliseconds and the augmentation can be drastic.

Some events have a hundred photographs, some none; ImageNet's classifier knows them all the same. So pictures
are lent: a photograph of an accordion, its evidence for accordion and banjo traded, stands beside the sound
of a banjo. This and other `trades` make few recordings go a long way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelFileError
from ...labels import BACKGROUND, EVENT_NAMES
from .choosing import TakeChoice
from .material import PERSON, PLUCKED, SPEECH, UNSEEN, Batch, PicturePool, TakePool, join_visual, twins
from .recipe import PLANS, Recipe
from .soft import flicker, pause, soften
from .trades import PERSON_CHANNEL, hush, mimic, mishear, relabel, slip_voices, swap_voices, trade

T: Final = 10
# An event with fewer photographs than this often borrows others'; only richer ones lend.
_ENOUGH: Final = 10
# How common the events are in everyday rooms and streets, 1 where nothing is said. Without it a guitar is
# as likely to be called a mandolin, which most microphones never hear.
_COMMON: Final[dict[str, float]] = {
    "Male speech, man speaking": 3.0,
    "Female speech, woman speaking": 3.0,
    "Acoustic guitar": 4.0,
    "Bark": 2.0,
    "Cat": 1.5,
    "Baby cry, infant cry": 1.5,
    "Violin, fiddle": 1.5,
    "Mandolin": 0.6,
    "Banjo": 0.8,
}
# A view in which even ImageNet's classifier sees nothing of the event teaches only to stop looking.
_FAINTEST: Final = 0.3
# How far a steady view strays towards the other one of its two.
_TREMBLE: Final = 0.2


@dataclass(frozen=True)
class Scene:
    """Views [10, 2], audio evidence [10, A], labels [10], loans, and the events that are seen.

    A loan is (lender, event, seconds [10]). In a `steady` one all seconds mix their two views alike.
    """

    views: NDArray[np.int64]
    audio: NDArray[np.float32]
    label: NDArray[np.int64]
    loans: list[tuple[int, int, NDArray[np.bool_]]]
    seen: list[int]
    steady: bool = False


class Composer:
    """Draws scenes from the two pools."""

    def __init__(self, pictures: PicturePool, takes: TakePool, recipe: Recipe, seed: int) -> None:
        self.pictures, self.takes, self.recipe = pictures, takes, recipe
        self.rng = np.random.default_rng(seed)
        self._views: dict[int, list[NDArray[np.int64]]] = {}
        for kind in np.unique(pictures.kind):
            of_kind = np.flatnonzero(pictures.kind == kind)
            channel = PERSON_CHANNEL if kind == PERSON else int(kind)
            if kind != BACKGROUND:
                seen = np.maximum(
                    pictures.whole[of_kind, channel],
                    pictures.cells[of_kind, :, :, channel].max((1, 2)) - 0.15,
                )
                of_kind = of_kind[seen > _FAINTEST]
            if not of_kind.size:
                continue
            subjects = pictures.subject[of_kind]
            self._views[int(kind)] = [of_kind[subjects == s] for s in np.unique(subjects)]
        shown_kinds = [k for k in self._views if k < BACKGROUND]
        self._lenders = [k for k in shown_kinds if len(self._views[k]) >= _ENOUGH] or shown_kinds
        missing = "pictures of events" if not shown_kinds else "pictures of nothing"
        if not shown_kinds or BACKGROUND not in self._views or not takes.nothing().size:
            raise ModelFileError(f"too little to compose scenes from: {missing} or takes without any event")
        self._choose = TakeChoice(takes, recipe, self.rng)
        shown = {*self._choose.audible} - {*UNSEEN}
        self._both = sorted(shown if PERSON in self._views else shown - set(SPEECH))
        self._audible = self._choose.audible
        self._resembled = [k for k in self._choose.resembled if k in self._both]
        self._beneath = {k: found for k in self._both if (found := takes.beneath_unlike(k)).size}
        self._weight = np.array([_COMMON.get(name, 1.0) for name in EVENT_NAMES])
        self._steady = False
        """Whether the scene that is being composed is."""

    def _pick_views(self, kind: int, seconds: int) -> NDArray[np.int64]:
        """[seconds, 2] views of one subject of that kind."""
        kind = PERSON if kind in SPEECH else kind
        subjects = self._views[kind]
        views = subjects[self.rng.integers(len(subjects))]
        if self._steady:
            return np.tile(self.rng.choice(views, size=2), (seconds, 1))
        return self.rng.choice(views, size=2 * seconds).reshape(seconds, 2)

    def _show(self, event: int, scene: Scene, shown: NDArray[np.bool_]) -> None:
        """Put one subject of the event into the seconds `shown`, its own or a lent one."""
        scene.seen.append(event)
        own = PERSON if event in SPEECH else event
        lender = event
        if own not in self._views or (
            event not in SPEECH
            and (
                self.rng.random() < self.recipe.lend or len(self._views[own]) < self.rng.integers(0, _ENOUGH)
            )
        ):
            lender = int(self._lenders[self.rng.integers(len(self._lenders))])
        scene.views[shown] = self._pick_views(lender, int(shown.sum()))
        if lender != event or event in PLUCKED:
            scene.loans.append((lender, event, shown.copy()))

    def _other_view_kind(self, avoid: tuple[int, ...]) -> int:
        """Something to see that is none of the events to avoid."""
        rng = self.rng
        if rng.random() < 0.55:
            return BACKGROUND
        options = [
            k for k in self._views if k not in avoid and not (k == PERSON and set(avoid) & set(SPEECH))
        ]
        return int(options[rng.integers(len(options))])

    def _event(self, among: list[int]) -> int:
        """One of these events, common ones more often."""
        weights = self._weight[among]
        return int(self.rng.choice(among, p=weights / weights.sum()))

    def _unlike(self, event: int, among: list[int]) -> int:
        """Another of these events, one that does not look like this one."""
        others = [k for k in among if k != event and not twins(k, event)]
        return int(others[self.rng.integers(len(others))])

    def _spans(self, whole: float) -> NDArray[np.bool_]:
        """When it is in view: all ten seconds with probability `whole`, else from one second to another."""
        shown = np.ones(T, np.bool_)
        if self.rng.random() >= whole:
            first, last = sorted(self.rng.integers(0, T + 1, size=2))
            shown[:] = False
            shown[first:last] = True
        return shown

    def scene(self) -> Scene:
        """One scene of the recipe."""
        rng = self.rng
        shares = np.array(self.recipe.shares)
        plan = PLANS[int(rng.choice(len(PLANS), p=shares / shares.sum()))]
        self._steady = self._at_times(self.recipe.steady)
        if plan == "change":
            return self._change()
        event, take = self._subject(plan)
        weak = plan == "both" and self._at_times(self.recipe.weak)
        if weak:
            take = self._choose.faint(event)
        heard, beneath = int(self.takes.kind[take]), int(self.takes.beneath[take])
        backdrop = self._other_view_kind((event, heard, beneath))
        scene = Scene(
            self._pick_views(backdrop, T),
            self.takes.evidence[take].astype(np.float32),
            np.full(T, BACKGROUND, np.int64),
            [],
            [],
            self._steady,
        )
        if plan == "wrong":
            event = self._unlike(event, self._both)
        if plan in ("both", "seen", "wrong", "beneath", "near"):
            shown = self._spans(1.0 if plan == "wrong" or weak else 0.55)
            if shown.any():
                self._show(event, scene, shown)
            self._name(scene, take, event, shown)
        if weak:
            soften(scene.audio, self._nothing(), rng)
        elif plan == "both" and self._at_times(self.recipe.pauses):
            pause(scene.audio, scene.label, self._nothing(), rng)
        if plan == "seen" and heard == BACKGROUND:
            self._approach(scene, event)
        return scene

    def _approach(self, scene: Scene, event: int) -> None:
        """Something like the event is heard where nothing is, or for a moment the event."""
        if self.rng.random() < self.recipe.mimic:
            mimic(scene.audio, event, self.rng)
        if self._at_times(self.recipe.brief):
            take = self._choose.of(event)
            flicker(scene.audio, self.takes.evidence[take], self.takes.audible[take], self.rng)

    def _at_times(self, probability: float) -> bool:
        """What is never asked for draws nothing: scenes of a seed stay what they were without it."""
        return probability > 0 and bool(self.rng.random() < probability)

    def _nothing(self) -> NDArray[np.float16]:
        """[10, A], what is heard where nothing is."""
        nothing: NDArray[np.float16] = self.takes.evidence[self._choose.of(BACKGROUND)]
        return nothing

    def _subject(self, plan: str) -> tuple[int, int]:
        """The event a scene is about, and a take to go with it."""
        rng = self.rng
        if plan == "beneath" and self._beneath:
            event = self._event(list(self._beneath))
            return event, int(rng.choice(self._beneath[event]))
        if plan == "near" and self._resembled:
            event = self._event(self._resembled)
            return event, self._choose.almost(event)
        event = self._event(self._audible if plan in ("heard", "wrong") else self._both)
        if plan == "near":
            return event, self._choose.like(event)
        if plan != "seen":
            return event, self._choose.of(BACKGROUND if plan == "neither" else event)
        if rng.random() < 0.5:
            return event, self._choose.of(self._unlike(event, self._audible))
        return event, (
            self._choose.like(event) if rng.random() < self.recipe.alike else self._choose.of(BACKGROUND)
        )

    def _name(self, scene: Scene, take: int, event: int, shown: NDArray[np.bool_]) -> None:
        """Label the seconds in which what is shown is heard; a person, by whichever voice is louder."""
        named = SPEECH if event in SPEECH else (event,)
        for voice in sorted(named, key=lambda k: k == self.takes.kind[take]):
            scene.label[shown & self.takes.seconds_of(take, voice)] = voice

    def _change(self) -> Scene:
        """Two events, one after the other."""
        rng = self.rng
        first = self._event(self._both)
        second = self._event([k for k in self._both if k != first])
        cut = int(rng.integers(2, T - 1))
        sound = np.empty((T, self.takes.evidence.shape[2]), np.float32)
        nothing = np.full(T, BACKGROUND, np.int64)
        scene = Scene(np.empty((T, 2), np.int64), sound, nothing, [], [], self._steady)
        for event, span in ((first, np.arange(T) < cut), (second, np.arange(T) >= cut)):
            take = self._choose.of(event)
            self._show(event, scene, span)
            sound[span] = self.takes.evidence[take, span]
            scene.label[span] = np.where(self.takes.audible[take, span], event, BACKGROUND)
        return scene

    def batch(self, size: int) -> Batch:
        """`size` scenes with relabelling and missing modalities."""
        rng = self.rng
        scenes = [self.scene() for _ in range(size)]
        views = np.stack([scene.views for scene in scenes])
        audio = np.stack([scene.audio for scene in scenes])
        label = np.stack([scene.label for scene in scenes])
        mix = rng.random((size, T, 1)).astype(np.float32)
        for row in (row for row, scene in enumerate(scenes) if scene.steady):
            mix[row] = np.clip(mix[row, :1] + _TREMBLE * (mix[row] - 0.5), 0, 1)
        p = self.pictures
        whole = p.whole[views[..., 0]] * mix + p.whole[views[..., 1]] * (1 - mix)
        grid = mix[..., None, None]
        cells = p.cells[views[..., 0]] * grid + p.cells[views[..., 1]] * (1 - grid)
        for row, scene in enumerate(scenes):
            for lender, event, shown in scene.loans:
                for picture in (whole[row], cells[row]):
                    lent = picture[shown]
                    trade(lent, lender, event, rng)
                    picture[shown] = lent
        for row, scene in enumerate(scenes):
            self._err(scene, audio[row], label[row])
        for traded in np.flatnonzero(rng.random(size) < self.recipe.relabel):
            row = int(traded)
            relabel(whole[row], cells[row], audio[row], label[row], rng)
        for swapped in np.flatnonzero(rng.random(size) < self.recipe.voices):
            swap_voices(audio[int(swapped)], label[int(swapped)])
        for slipped in np.flatnonzero(rng.random(size) < self.recipe.slip):
            slip_voices(audio[int(slipped)], rng)
        visual_mask, audio_mask = self._masks(size)
        label[~(visual_mask & audio_mask)] = BACKGROUND
        return Batch(join_visual(cells, whole), audio, label, visual_mask, audio_mask)

    def _err(self, scene: Scene, audio: NDArray[np.float32], label: NDArray[np.int64]) -> None:
        """Let what was learnt from labels miss what is heard and hear what is not, in place."""
        rng = self.rng
        if rng.random() < self.recipe.hush:
            for event in np.unique(label[label != BACKGROUND]):
                hush(audio, int(event), rng)
        if rng.random() < self.recipe.mishear:
            events = rng.integers(BACKGROUND, size=rng.integers(1, 5))
            if scene.seen and rng.random() < 0.5:
                events[0] = rng.choice(scene.seen)
            for event in events:
                mishear(audio, label, int(event), rng)

    def _masks(self, size: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Windows not yet full, and devices that fail for a while."""
        rng = self.rng
        masks = np.ones((2, size, T), np.bool_)
        for row in np.flatnonzero(rng.random(size) < 0.35):
            masks[:, row, : rng.integers(1, T)] = False
        for row in np.flatnonzero(rng.random(size) < self.recipe.drop):
            first, last = sorted(rng.integers(0, T + 1, size=2))
            masks[rng.integers(2), row, first:last] = False
        return masks[0], masks[1]
