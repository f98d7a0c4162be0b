"""The training loop, its schedule, its tables and what it reports."""
