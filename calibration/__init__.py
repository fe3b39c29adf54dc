"""Calibration: confidence, thresholds, the room, the camera-microphone offset, and INT8.

    looks               what the network said about a second, with how much of its future
    confidence          temperatures and vector scaling, by seconds of future
    metrics, report     what a fit is worth: ECE, Brier, NLL, with intervals over clips
    thresholds, rules   enter, leave and least duration per class, tried on the decoder itself
    budget, spans       within a budget of false alarms; hits, false alarms and misses
    rates, background   false alarms per hour; a quiet room and what it asks for
    onsets, sync        events in sound and sight; the offset between camera and microphone
    files               what all this is kept in
    plots               PNG
    int8/               quantised networks and what they cost

Takes arrays and iterables, opens no device and knows no screen. Imports `avel_live.model`, never
`avel_live.realtime`.
"""
