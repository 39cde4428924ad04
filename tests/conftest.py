"""Fixtures live in modules by what they provide."""

pytest_plugins = [
    "tests.certificates",
    "tests.commands",
    "tests.databases",
    "tests.deliverers",
    "tests.living",
    "tests.loglines",
    "tests.mailservers",
    "tests.simulators",
    "tests.valkeys",
    "tests.brokers",  # builds on valkeys
]
