"""The engine room: from an open source to hops, one second after the other."""
