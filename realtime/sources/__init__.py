"""Where frames and sound come from: cameras, microphones, files, network streams."""
