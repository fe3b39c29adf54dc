#!/usr/bin/env bash
# av 18.1.0 (PyAV; brings FFmpeg 8.1), H.264 with B-frames in AVI (written by Debian's ffmpeg).
#
# One would guess: decoded pictures come in the order of showing, and their `pts` grow, as in every other container;
#   where a demuxer knows no presentation times, `pts` is None.
# Instead: FFmpeg makes `pts` = `dts` + 1 for every packet of such an AVI, whatever the order of decoding. Pictures
#   leave the decoder in the order of showing with those numbers permuted: whoever drops pictures that seem to come
#   too late loses many of them. `frame.dts` (the decoding time of the packet that released the picture) grows by
#   one, late by a constant: that is the order to go by. MPEG-4 with B-frames in AVI is not affected.
# Seen:
#   libx264: 60 pictures, in the order of showing: True
#     pts 1 3 4 2 6 7 5 9 10 8 12 13 | grows: False
#     dts 2 3 4 5 6 7 8 9 10 11 12 13 | grows: True
#   mpeg4: 60 pictures, in the order of showing: True
#     pts 1 2 3 4 5 6 7 8 9 10 11 12 | grows: True
#     dts 1 2 3 4 5 6 7 8 9 10 11 12 | grows: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.2.6
cd "$folder"
fading="color=white:s=160x120:r=25:d=2.4,fade=in:0:60" # every picture is brighter than the one before
ffmpeg -v error -f lavfi -i "$fading" -c:v libx264 -preset fast -bf 2 -pix_fmt yuv420p libx264.avi
ffmpeg -v error -f lavfi -i "$fading" -c:v mpeg4 -q:v 2 -bf 2 mpeg4.avi
"$folder/venv/bin/python" - <<'PY'
import sys

import av


def grows(values):
    return all(a < b for a, b in zip(values, values[1:]))


held = True
for codec, permuted in (("libx264", True), ("mpeg4", False)):
    with av.open(f"{codec}.avi") as source:
        pictures = [(f.to_ndarray(format="gray").mean(), f.pts, f.dts) for f in source.decode(video=0)]
    light, pts = [p[0] for p in pictures], [p[1] for p in pictures]
    dts = [p[2] for p in pictures if p[2] is not None]
    print(f"{codec}: {len(pictures)} pictures, in the order of showing: {grows(light)}")
    print("  pts", *pts[:12], "| grows:", grows(pts))
    print("  dts", *dts[:12], "| grows:", grows(dts))
    held &= grows(light) and grows(dts) and grows(pts) != permuted
sys.exit(0 if held else "this has changed")
PY
