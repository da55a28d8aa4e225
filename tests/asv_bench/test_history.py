"""The suite builds commits in environments of their own, as docs/BENCHMARKS.md says."""

import json
import re
import tomllib
from pathlib import Path

import pytest

config = pytest.importorskip("asv.config")

ROOT = Path(__file__).parents[2]
CONF = ROOT / "asv_bench" / "asv.conf.json"


def test_asv_reads_the_configuration():
    conf = config.Config.load(str(CONF))
    assert conf.environment_type == "virtualenv"  # `existing` cannot build other commits
    assert (CONF.parent / conf.repo).resolve() == ROOT


def test_environments_get_extras_that_exist():
    (command,) = json.loads(CONF.read_text())["install_command"]
    extras = command.rpartition("[")[2].strip("]").split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras) <= set(project["optional-dependencies"])


def test_the_page_names_commands_of_asv():
    from asv.commands import command_order

    page = (ROOT / "docs" / "BENCHMARKS.md").read_text()
    blocks = "".join(re.findall(r"```sh\n(.*?)```", page, re.S))
    used = set(re.findall(r"(?<!/)\basv (\w+)", blocks))
    assert used >= {"run", "publish", "continuous"}
    assert used <= {str(one).lower() for one in command_order}
