"""What a device must show before it is trusted: what it promises, its speed beside a model, a training run."""
