"""Short programs on the library: run them, or import their functions in a notebook.

events            what happened, as it happens
own_frames        your own capture: push one second of frames and samples, get one answer
custom_sink       an output of your own beside those of the package
many_recordings   one set of networks for a folder of recordings
"""
