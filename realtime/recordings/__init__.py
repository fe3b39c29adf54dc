"""What is left of a recording that was looked through: tracks for other programs, and a page to read."""
