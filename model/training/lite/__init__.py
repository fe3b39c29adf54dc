"""Training of the `lite` profile from a folder of sounds and photographs: `avel train lite --data DIR`."""
