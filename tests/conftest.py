"""What holds for every test."""

import signal

# A shell starts background jobs with SIGINT ignored, and children would inherit that: tests that interrupt a
# program of ours need it as it is in a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)
