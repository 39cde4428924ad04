"""How fast the hub is beside others, measured: `python -m benchmarks`. README.md says how and what."""
