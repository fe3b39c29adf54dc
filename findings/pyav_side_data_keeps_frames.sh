#!/usr/bin/env bash
# av 18.1.0 (PyAV; brings FFmpeg 8.1).
#
# One would guess: a decoded picture whose last reference goes is freed at once, as everything in CPython that is in
#   no cycle; looking at its side data (a display matrix, say) changes nothing about that.
# Instead: `frame.side_data` makes a container that refers to its frame and is kept by it. From then on the two hold
#   each other, and the picture (3 MB at 1080p) stays until the cyclic garbage collector comes by; it counts objects,
#   not bytes, so that hundreds of pictures may wait for it. `frame.rotation` tells the angle without a cycle.
# Seen:
#   not looked at: 0 of 60 pictures alive after their last reference went
#   rotation: 0 of 60 pictures alive after their last reference went
#   side_data: 60 of 60 pictures alive after their last reference went
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.2.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import gc
import sys

import av
import numpy as np

with av.open("clip.mkv", "w") as out:
    stream = out.add_stream("mpeg4", rate=25)
    stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
    for k in range(60):
        picture = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 4 * k, np.uint8), format="rgb24")
        out.mux(stream.encode(picture))
    out.mux(stream.encode())
del picture


def alive(look):
    gc.collect()
    gc.disable()
    with av.open("clip.mkv") as source:
        for frame in source.decode(video=0):
            look(frame)
        del frame
    left = sum(type(one) is av.VideoFrame for one in gc.get_objects())
    gc.enable()
    return left


ways = {
    "not looked at": lambda frame: None,
    "rotation": lambda frame: frame.rotation,
    "side_data": lambda frame: frame.side_data,
}
left = {name: alive(look) for name, look in ways.items()}
for name, count in left.items():
    print(f"{name}: {count} of 60 pictures alive after their last reference went")
sys.exit(0 if list(left.values()) == [0, 0, 60] else "this has changed")
PY
