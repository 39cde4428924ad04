"""Fixtures live in modules by what they provide."""

pytest_plugins = [
    "tests.commands",
    "tests.databases",
    "tests.deliverers",
    "tests.living",
    "tests.mailservers",
    "tests.valkeys",
]
