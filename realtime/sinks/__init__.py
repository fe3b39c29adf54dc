"""Where answers go: files, messages, metrics, clips, reports."""
