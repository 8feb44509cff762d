"""The one training loop, and what a training stores."""
