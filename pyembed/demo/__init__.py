"""The demonstration: real text that is already here, and what can be learned from it. Light, for worker processes."""
