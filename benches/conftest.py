"""Of `pytest benches/`; mypy, which knows one conftest, leaves this one out."""

pytest_plugins = ["summary"]
