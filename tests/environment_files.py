"""The environments of the rules, read from envs/ and from the rule files."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1]
SCRIPTS = PROJECT / "workflow" / "scripts"
ENVIRONMENTS = sorted((PROJECT / "envs").glob("*.yaml"))
# PyPI's torch on Linux brings CUDA by itself, in versions that torch asks for.
OPTIONAL = re.compile(r"^(nvidia|cuda|triton)")


class Rule(NamedTuple):
    """A rule that runs a script in an environment."""

    name: str
    script: str
    environment: str
    gpu: bool


def read_rules():
    """Every such rule of rules/*.smk; targets run none."""
    rules = []
    for path in sorted((PROJECT / "rules").glob("*.smk")):
        if path.name == "targets.smk":
            continue
        for block in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            (environment,) = re.findall(r'"\.\./envs/(\w+)\.yaml"', block)
            (script,) = re.findall(r'"\.\./workflow/scripts/(\w+)\.py"', block)
            gpu = "gpu=1," in block
            rules.append(Rule(block.partition(":")[0], script, environment, gpu))
    return rules


def pins_of(lines):
    """Canonical name -> version, of lines NAME==VERSION."""
    pins = {}
    for line in lines:
        name, version = line.strip().split("==")
        assert canonicalize_name(name) not in pins, f"{name} stands twice"
        pins[canonicalize_name(name)] = version
    return pins


def environment_pins(path):
    """The pins for pip in one environment file."""
    content = yaml.safe_load(path.read_text())
    (pip,) = [part["pip"] for part in content["dependencies"] if isinstance(part, dict)]
    return pins_of(pip)
