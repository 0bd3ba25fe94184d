"""An MQTT broker, with Home Assistant's discovery as of 2026 (wire-formats.md, B10)."""
