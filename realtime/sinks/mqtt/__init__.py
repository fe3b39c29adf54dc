"""Events on an MQTT broker, where Home Assistant finds them."""
