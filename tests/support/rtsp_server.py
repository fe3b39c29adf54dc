"""Run by the system's Python (PyGObject): `rtsp_server.py PORT AUDIO_DELAY_MS PROTOCOL [WIDTH HEIGHT]`.

One thread pushes both tracks with time stamps from one counter, in step with the clock: a flash and a beep
of 0.12 s at every second, the beep AUDIO_DELAY_MS later.
"""

import array
import math
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

WIDTH, HEIGHT = (int(size) for size in sys.argv[4:6] or (320, 240))
FPS, RATE = 25, 48000
PERIOD, ON = 1.0, 0.12
STEP = RATE // FPS


def sound(first, delay_s):
    out = array.array("h", bytes(2 * STEP))
    for k in range(STEP):
        phase = ((first + k) / RATE - delay_s) % PERIOD
        tone = int(16000 * math.sin(2 * math.pi * 1000 * phase)) if phase < ON else 0
        out[k] = tone + ((first + k) * 7919) % 61 - 30
    return out.tobytes()


def picture(k):
    on = (k / FPS) % PERIOD < ON - 1e-6
    shade = 235 if on else 40 + k % FPS
    return bytes([shade]) * (WIDTH * HEIGHT) + bytes([128]) * (WIDTH * HEIGHT // 2)


def feed(video, audio, delay_s):
    pictures = [picture(k) for k in range(FPS)]
    sounds = [sound(k * STEP, delay_s) for k in range(FPS)]
    begun, k = time.monotonic(), 0
    while True:
        for source, data in ((video, pictures[k % FPS]), (audio, sounds[k % FPS])):
            buffer = Gst.Buffer.new_wrapped(data)
            buffer.pts = buffer.dts = k * Gst.SECOND // FPS
            buffer.duration = Gst.SECOND // FPS
            if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return
        k += 1
        time.sleep(max(0.0, begun + k / FPS - time.monotonic()))


def main():
    Gst.init(None)
    delay_s = int(sys.argv[2]) / 1000

    def configure(_factory, media):
        bin_ = media.get_element()
        sources = bin_.get_by_name("v"), bin_.get_by_name("a")
        threading.Thread(target=feed, args=(*sources, delay_s), daemon=True).start()

    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( appsrc name=v is-live=true format=time "
        f"caps=video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={FPS}/1 ! "
        "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=800 ! "
        "rtph264pay name=pay0 pt=96 "
        "appsrc name=a is-live=true format=time "
        f"caps=audio/x-raw,format=S16LE,rate={RATE},channels=1,layout=interleaved ! "
        "audioconvert ! audio/x-raw,format=S16BE ! rtpL16pay name=pay1 pt=97 )"
    )
    factory.set_shared(True)
    if sys.argv[3] != "all":
        transports = GstRtsp.RTSPLowerTrans
        factory.set_protocols(transports.UDP if sys.argv[3] == "udp" else transports.TCP)
    factory.connect("media-configure", configure)
    server.get_mount_points().add_factory("/test", factory)
    server.attach(None)
    GLib.MainLoop().run()


main()
