"""Realtime notification hub: one HTTP request in, every entitled screen and mailbox out."""

__version__ = "0.1.0"
