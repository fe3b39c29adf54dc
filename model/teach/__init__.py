"""Classes that people teach: a few examples, a small pack, no training of the networks."""
