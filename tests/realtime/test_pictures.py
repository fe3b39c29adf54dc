"""Pictures come out upright and in their true proportions, whatever a file says about showing them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from avel_live.realtime.errors import SourceError
from avel_live.realtime.sources.capture import CameraOptions, open_capture
from avel_live.realtime.sources.picture import timed_frame
from support.media import make_clip, needs_ffmpeg, with_display_matrix
from support.played import Played

POSES = {
    "mirrored": ((-1, 0, 0, 1), (0, 1)),
    "upside down": ((1, 0, 0, -1), (1, 0)),
    "turned half": ((-1, 0, 0, -1), (1, 1)),
    "quarter to the right": ((0, 1, -1, 0), (0, 1)),
    "quarter to the left": ((0, -1, 1, 0), (1, 0)),
    "transposed": ((0, 1, 1, 0), (0, 0)),
    "transposed the other way": ((0, -1, -1, 0), (1, 1)),
    "all zeros": ((0, 0, 0, 0), (0, 0)),
    "half a degree off": ((0.99996, 0.00873, -0.00873, 0.99996), (0, 0)),
}


@pytest.mark.parametrize("pose", POSES)
def test_a_display_matrix_turns_and_mirrors_as_it_says(pose: str, tmp_path: Path) -> None:
    """The red corner of the picture, upper left as coded, is where the matrix puts it."""
    matrix, corner = POSES[pose]
    clip = make_clip(tmp_path / "clip.mp4", seconds=0.5)
    frame = Played(with_display_matrix(clip, tmp_path / "posed.mp4", matrix), originals=True).frames[0]
    assert frame.original is not None
    turned = "quarter" in pose or "transposed" in pose
    assert frame.original.shape == ((160, 120, 3) if turned else (120, 160, 3))
    for image in (frame.image, frame.original):
        red = image[..., 0].astype(int) - image[..., 2]
        halves = [np.array_split(half, 2, axis=1) for half in np.array_split(red, 2, axis=0)]
        marks = {(row, col): halves[row][col].mean() for row in (0, 1) for col in (0, 1)}
        assert max(marks, key=lambda where: marks[where]) == corner


@pytest.mark.parametrize("matrix", [(0.7071, 0.7071, -0.7071, 0.7071), (1, 0.3, 0, 1)])
def test_a_picture_turned_by_no_quarter_is_refused_with_the_way_on(
    matrix: tuple[float, ...], tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=0.5)
    tilted = with_display_matrix(clip, tmp_path / "tilted.mp4", matrix)
    with pytest.raises(SourceError, match=r"tilted.mp4: the picture.*quarter turns and mirrors.*ffmpeg -i"):
        Played(tilted)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("size", "shape", "original", "preview"),
    [
        ("352x576", "24/11", (768, 576), (160, 120)),  # half of a PAL picture, 4:3
        ("720x576", "64/45", (1024, 576), (160, 90)),  # DV, 16:9
        ("352x240", "10/11", (352, 264), (160, 120)),
        ("320x240", "1/1", (320, 240), (160, 120)),
        ("64x64", "20/1", (64, 3), (64, 3)),  # absurd: believed, but it costs no memory
    ],
)
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_pixels_that_are_not_square_keep_the_aspect(
    size: str,
    shape: str,
    original: tuple[int, int],
    preview: tuple[int, int],
    container: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / f"clip.{container}"
    source = f"testsrc=s={size}:r=10:d=0.3,setsar={shape}"
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast"]
    subprocess.run([*make, str(path)], check=True, timeout=60)
    frame = Played(path, originals=True).frames[0]
    assert frame.original is not None
    assert frame.preview is not None
    assert frame.image.shape == (224, 224, 3)
    for image, wanted in ((frame.original, original), (frame.preview, preview)):
        assert image.shape[1::-1] == pytest.approx(wanted, abs=1)


@needs_ffmpeg
def test_a_network_cameras_pixels_are_made_square_too(tmp_path: Path) -> None:
    """OpenCV tells their shape; a file stands for the camera here, read by the same reader."""
    path = tmp_path / "camera.ts"
    source = "testsrc=s=352x576:r=10:d=0.3,setsar=24/11"
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast"]
    subprocess.run([*make, str(path)], check=True, timeout=60)
    capture, granted = open_capture(CameraOptions(f"file://{path}"))
    ok, image = capture.read()
    capture.release()
    assert ok
    frame = timed_frame(0, image, keep_original=True, aspect=granted.aspect)
    assert frame.preview is not None
    assert frame.original is not None
    assert frame.preview.shape == (120, 160, 3)
    assert frame.original.shape == (576, 768, 3)
