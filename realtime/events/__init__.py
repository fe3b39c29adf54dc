"""From per-window scores to settled seconds and events with a beginning and an end."""
