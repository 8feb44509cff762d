"""What the commands of all experiments share: options, items from anywhere, and their output."""
