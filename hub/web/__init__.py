"""The doors: parse, call one service, format."""
