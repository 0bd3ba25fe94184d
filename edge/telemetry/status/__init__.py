"""The status record: how it is made, logged, read and shown."""
