# What comes before the configuration: where the checkout is, and whether its own configuration can
# be read. Snakemake reports a mistake in it without the file and the line.

import sys
from pathlib import Path

ROOT = Path(str(workflow.current_basedir)).parent.resolve()
SCRIPTS = ROOT / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

from affectlab.config.load import load_config
from affectlab.errors import UserError

try:
    load_config(ROOT)
except UserError as error:
    sys.exit(str(error))
