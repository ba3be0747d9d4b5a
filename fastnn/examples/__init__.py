"""Programs to read, run and change: `python -m fastnn.examples.digits` and so on. Each says what it prints."""
