"""Redis: how processes talk while they run. A cache: wiping it loses nothing durable."""
