"""MQTT: listener, topics, payloads and the embedded broker."""
