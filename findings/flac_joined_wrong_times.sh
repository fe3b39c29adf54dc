#!/usr/bin/env bash
# av 18.1.0 (PyAV; brings FFmpeg 8.1), two FLAC files joined with `cat` (files written by Debian's ffmpeg).
#
# One would guess: as joined MP3, AAC or transport streams: the second file's packets go on, or begin anew at 0.
# Instead: every sample is decoded, but the last packet of the first file, which is shorter than the others, gets
#   the number of its frame times its own length as `pts` where another file follows (in a file alone it is right),
#   and the header of the second file is no boundary: `pts` goes back twice. Whoever places sound by `pts` puts the
#   last packet of the first file seconds too early, and takes what follows for a second step.
# Seen (8 s each, 4608 samples a packet, the last one 1536):
#   alone:  last pts 382464, steps back: none, decoded 8.0 s
#   joined: steps back: 382464 -> 127488, 129024 -> 0, decoded 16.0 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0
cd "$folder"
beeps="aevalsrc=0.5*sin(2*PI*1000*t)*(between(t\\,2\\,2.2)+between(t\\,5\\,5.2)):s=48000:d=8"
ffmpeg -v error -f lavfi -i "$beeps" alone.flac
cat alone.flac alone.flac > joined.flac
"$folder/venv/bin/python" - <<'PY'
import sys

import av


def read(name):
    with av.open(name) as source:
        packets = [(p.pts, p.duration or 0) for p in source.demux(audio=0) if p.pts is not None]
    with av.open(name) as source:
        seconds = sum(frame.samples / frame.sample_rate for frame in source.decode(audio=0))
    ends = [pts + duration for pts, duration in packets]
    return packets[-1][0], [(end, pts) for end, (pts, _) in zip(ends, packets[1:]) if pts < end], seconds


last, back, seconds = read("alone.flac")
print(f"alone:  last pts {last}, steps back: {back or 'none'}, decoded {seconds:.1f} s")
held = not back and round(seconds, 6) == 8.0
_, back, seconds = read("joined.flac")
print("joined: steps back:", ", ".join(f"{a} -> {b}" for a, b in back) + f", decoded {seconds:.1f} s")
held &= len(back) == 2 and back[0][1] not in (0, back[0][0]) and round(seconds, 6) == 16.0
sys.exit(0 if held else "this has changed")
PY
