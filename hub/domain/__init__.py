"""Nouns and rules. Pure: no I/O, no await, no clock, no chance, no logging."""
