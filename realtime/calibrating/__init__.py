"""The work behind `avel calibrate`: open sources, feed arrays to `calibration`, show and store results."""
