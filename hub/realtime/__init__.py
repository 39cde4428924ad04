"""Connections: bytes, rooms and bounds. Knows nothing of notifications, users or SQL."""
