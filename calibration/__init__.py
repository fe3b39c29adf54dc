"""Calibration: confidence, thresholds, the room, the camera-microphone offset, and INT8.

    looks        what the network said about a second, with how much of its future
    confidence   temperatures and vector scaling by seconds of future   metrics, report: their worth
    thresholds   enter, leave and least duration per class, on the decoder        rates: per hour
    background   a quiet room: noise floor, false alarms, proposed thresholds
    sync         the offset between camera and microphone                    onsets: in sound and sight
    profile      the files all this is kept in                               plots: PNG
    int8_*       quantised networks and what they cost

Takes arrays and iterables, opens no device and knows no screen. Imports `avel_live.model`, never
`avel_live.realtime`.
"""
