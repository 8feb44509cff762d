"""affectlab: affective-computing experiments that anyone can rerun, check and trust."""

__version__ = "0.1.0"
