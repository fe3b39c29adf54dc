"""Feature extractors: one file per network, and the `registry` that names them all."""
