"""The commands of `hub`, one module per theme. They parse, call one thing and print; they hold no rules."""
