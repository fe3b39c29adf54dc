"""Several streams in one program: one engine for all; for each a thread, a ring, a decoder, outputs."""
