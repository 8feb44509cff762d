"""The structure of audio files: whether a file is whole, one module for each family."""
