"""From a configuration to a running stream: the one place where everything is put together."""
