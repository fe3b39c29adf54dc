#!/usr/bin/env bash
# av (PyAV) 18.1.0, on a machine without an NVIDIA driver.
# `HWAccel(..., allow_software_fallback=True)` is the default; its documentation says that decoding then falls back
# to a software decoder "when the hardware decoder cannot handle the stream". One would guess that a recording
# opens everywhere, and is decoded by the CPU where the device is missing.
# It falls back for a codec that the device does not know. Where the device itself is missing `av.open` raises, and
# it raises the very same for a device type that does not exist: PermissionError, [Errno 1] Operation not permitted,
# on a readable file. Nothing in it names a device. Seen:
#   drm (no H.264 there):  opened, is_hwaccel False, yuv420p
#   cuda (no driver):      PermissionError: [Errno 1] Operation not permitted
#   no-such-device:        PermissionError: [Errno 1] Operation not permitted
#   without HWAccel:       opened, is_hwaccel False, yuv420p
set -euo pipefail
if [ -e /proc/driver/nvidia/version ]; then echo "this machine has a driver: nothing to see"; exit 0; fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import av
import numpy as np
from av.codec.hwaccel import HWAccel, hwdevices_available

with av.open("clip.mp4", "w") as out:
    stream = out.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
    for shade in range(5):
        picture = np.full((120, 160, 3), 40 * shade, np.uint8)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    out.mux(stream.encode(None))


def opened(device):
    accel = None if device is None else HWAccel(device, allow_software_fallback=True)
    try:
        with av.open("clip.mp4", hwaccel=accel) as container:
            frame = next(container.decode(video=0))
            return f"opened, is_hwaccel {container.streams.video[0].codec_context.is_hwaccel}, {frame.format.name}"
    except OSError as error:
        return f"{type(error).__name__}: {error}"


print("devices this FFmpeg was built with:", hwdevices_available())
seen = {device: opened(device) for device in ("drm", "cuda", "no-such-device", None)}
for device, said in seen.items():
    print(f"{device}: {said}")
plain = "opened, is_hwaccel False, yuv420p"
denied = "PermissionError: [Errno 1] Operation not permitted"
same = seen == {"drm": plain, "cuda": denied, "no-such-device": denied, None: plain}
raise SystemExit(not same)
PY
echo "as described"
