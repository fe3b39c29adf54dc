"""Clips of events: cut out of a ring that is encoded all the time."""
