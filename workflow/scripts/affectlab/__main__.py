"""``python -m affectlab``: the same as the command ``affectlab``."""

import sys

from affectlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
