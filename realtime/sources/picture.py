"""From a decoded picture to what travels: resized once, at capture, for the networks and for the screen.

The networks see the whole picture squeezed to a square. People (previews, clips, thumbnails) see it in its
true proportions: pixels that are not square are made square.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ..core.errors import SourceError
from ..core.messages import FRAME_SIZE, TimedFrame

if TYPE_CHECKING:
    import av

PREVIEW_WIDTH = 160
"""Pixels; the height follows the picture's proportions, at most 160."""


def timed_frame(
    t_ns: int, image: NDArray[np.uint8], *, keep_original: bool = False, aspect: Fraction | None = None
) -> TimedFrame:
    """Squeeze the whole picture to 224×224 (no crop, as the field does) and make a small preview.

    Args:
        t_ns: instant on the common timeline.
        image: [H, W, 3] uint8 RGB, upright. Not written to afterwards by the caller when `keep_original` is
            set.
        keep_original: also carry the full picture, for clips.
        aspect: width : height of a pixel; None when square.

    """
    import cv2

    height, width = image.shape[:2]
    size = (FRAME_SIZE, FRAME_SIZE)
    if (width, height) == size:
        squeezed = image.copy()
    else:
        method = cv2.INTER_AREA if _shrinks(width, height) else cv2.INTER_LINEAR
        squeezed = cast("NDArray[np.uint8]", cv2.resize(image, size, interpolation=method))
    shown = squared(width, height, aspect)
    original = None
    if keep_original:
        original = image if shown == (width, height) else cast("NDArray[np.uint8]", cv2.resize(image, shown))
    # Linear: the picture on a screen need not be exact, and there are sixteen a second.
    preview = cv2.resize(squeezed, _preview_size(*shown), interpolation=cv2.INTER_LINEAR)
    return TimedFrame(t_ns, squeezed, cast("NDArray[np.uint8]", preview), original)


class FrameConverter:
    """Does the same to the frames of a decoder, in one pass from its own colours and size.

    Three times as quick as colours first and size second. One for a stream: making the scaler's tables takes
    longer than using them. All of it by FFmpeg: a stream that is not a camera's needs no OpenCV, 25 MB.

    Args:
        stream: PyAV's stream that the frames come from; knows the shape of its pixels.

    """

    def __init__(self, stream: Any) -> None:
        from av.sidedata.sidedata import Type
        from av.video.reformatter import VideoReformatter

        # Each keeps the tables of one pair of formats.
        self._small, self._full, self._shown = VideoReformatter(), VideoReformatter(), VideoReformatter()
        self._matrix = Type.DISPLAYMATRIX
        self._pose: Pose | None = None
        self._turn = 0
        self._codec = stream.codec_context
        self._coded = self._codec.sample_aspect_ratio
        # What the container says goes before what the codec says, as in every player.
        self._aspect = stream.sample_aspect_ratio

    def timed(self, t_ns: int, frame: av.VideoFrame, *, keep_original: bool = False) -> TimedFrame:
        """As `timed_frame`, of a decoded frame; turned, mirrored and stretched as its file says.

        Raises:
            SourceError: it is to be shown turned by something that is no quarter.

        """
        method = "AREA" if _shrinks(frame.width, frame.height) else "BILINEAR"
        small = self._small.reformat(frame, FRAME_SIZE, FRAME_SIZE, "rgb24", interpolation=method)
        pose = self._pose_of(frame)
        width, height = squared(frame.width, frame.height, self._shape())
        squeezed = _posed(small, pose)
        original = None
        if keep_original:
            original = _posed(self._full.reformat(frame, width, height, "rgb24"), pose)
        size = _preview_size(width, height)
        preview = _posed(self._shown.reformat(small, *size, "rgb24", interpolation="BILINEAR"), pose)
        return TimedFrame(t_ns, squeezed, preview, original)

    def _pose_of(self, frame: av.VideoFrame) -> Pose:
        """Asked of the first picture, and again where the angle is another one.

        PyAV's `side_data` and its frame hold each other: every picture that was asked for it would stay in
        memory until the garbage collector comes by. The angle alone costs nothing, but does not tell mirrors.
        """
        turn = frame.rotation
        if self._pose is None or turn != self._turn:
            side: Any = frame.side_data  # PyAV's stubs take its keys for strings
            matrix = side.get(self._matrix)
            self._pose = UPRIGHT if matrix is None else pose_of(bytes(matrix))
            self._turn = turn
        return self._pose

    def _shape(self) -> Fraction | None:
        coded = self._codec.sample_aspect_ratio
        if coded != self._coded:  # the stream has changed since it was opened
            self._coded = self._aspect = coded
        return self._aspect  # type: ignore[no-any-return]


_MOST_STRETCHED = 4
"""Pixels longer than this are believed, but the other side is shortened instead: memory is bounded."""


def squared(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The size at which pixels of this width : height (None and 0: unknown, square) become square."""
    if not aspect or aspect <= 0 or aspect == 1:
        return width, height
    if 1 < aspect <= _MOST_STRETCHED or aspect < Fraction(1, _MOST_STRETCHED):
        return max(1, round(width * aspect)), height
    return width, max(1, round(height / aspect))


class Pose(NamedTuple):
    """How a picture is to be shown: its axes swapped, then the result mirrored, left-right and top-bottom."""

    swapped: bool
    left_right: bool
    top_bottom: bool


UPRIGHT = Pose(swapped=False, left_right=False, top_bottom=False)


def pose_of(matrix: bytes) -> Pose:
    """What a display matrix (nine int32: FFmpeg's, as in ISO/IEC 14496-12, 8.3.2) asks for.

    A pixel at (p, q) goes to (a·p + c·q, b·p + d·q). Its scale is FFmpeg's business (the shape of pixels),
    where the picture is moved to is nobody's.

    Raises:
        SourceError: it turns by something that is no quarter, shears, or draws in perspective.

    """
    a, b, u, c, d, v, _, _, _ = (int(n) for n in np.frombuffer(matrix, "=i4", count=9))
    longest, other = max(abs(a), abs(d)), max(abs(b), abs(c))
    if not longest and not other:
        return UPRIGHT  # all zeros: a muxer that left it empty
    swapped = other > longest
    kept, lost = ((b, c), (a, d)) if swapped else ((a, d), (b, c))
    # A degree off is rounding; so much more is another picture than the one that was judged.
    if max(map(abs, lost)) > 0.02 * min(map(abs, kept)) or u or v:
        degrees = round(np.degrees(np.arctan2(b, a))) % 360
        raise SourceError(
            f"the picture is to be shown turned by {degrees}° or sheared, and only quarter turns and mirrors "
            "are supported; write it upright: ffmpeg -i IN -c:a copy OUT"
        )
    down, right = (b, c) if swapped else (d, a)
    return Pose(swapped, left_right=right < 0, top_bottom=down < 0)


def _shrinks(width: int, height: int) -> bool:
    return width >= FRAME_SIZE and height >= FRAME_SIZE


def _posed(frame: av.VideoFrame, pose: Pose) -> NDArray[np.uint8]:
    """An RGB frame as an array, as it is to be shown."""
    image = cast("NDArray[np.uint8]", frame.to_ndarray())
    if pose == UPRIGHT:
        return image
    if pose.swapped:
        image = image.transpose(1, 0, 2)
    if pose.left_right:
        image = image[:, ::-1]
    return np.ascontiguousarray(image[::-1] if pose.top_bottom else image)


def _preview_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the small picture in the true proportions of one of this size."""
    scale = min(1.0, PREVIEW_WIDTH / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
