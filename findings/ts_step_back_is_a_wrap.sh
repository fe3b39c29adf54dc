#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg's MPEG-TS demuxer), a transport stream whose clock is set back by two hours in the middle.
#
# One would guess: the time stamps that come out step back by two hours, as they do in the file.
# Instead: FFmpeg takes the first stamp less a minute as the least that there is. What lies below it must be the 33-bit
#   counter begun anew (2^33 / 90000 s = 26.5 hours), and goes on above: the step back comes out as one FORWARD by 24.5
#   hours. The same step in a stream that begins near zero comes out as it is. So a step ahead of more than half of
#   26.5 hours in a transport stream is more likely one back; and whoever waits for it waits for a day.
# Seen:
#   far (begins at 7300 s, then 100 s): 88234 s ahead
#   near (begins at 30 s, then 3 s): 37 s back
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0
part() { # seconds, begins at, file
  ffmpeg -v error -y -f lavfi -i testsrc=s=160x120:r=25:d="$1" -c:v mpeg2video -muxdelay 0 -muxpreload 0 \
    -output_ts_offset "$2" -f mpegts "$folder/$3"
}
part 10 7300 a.ts
part 10 100 b.ts
part 10 30 c.ts
part 10 3 d.ts
cat "$folder/a.ts" "$folder/b.ts" >"$folder/far.ts"
cat "$folder/c.ts" "$folder/d.ts" >"$folder/near.ts"
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import av

found = {}
for name in ("far", "near"):
    with av.open(f"{sys.argv[1]}/{name}.ts") as file:
        times = [float(p.dts * p.time_base) for p in file.demux(video=0) if p.dts is not None]
    step = max((b - a for a, b in zip(times, times[1:])), key=abs)
    found[name] = step
    print(f"{name}: {abs(step):.0f} s {'ahead' if step > 0 else 'back'}")
assert abs(found["far"] - (2**33 / 90000 - 7210)) < 5
assert abs(found["near"] + 37) < 5
PY
echo "as described"
