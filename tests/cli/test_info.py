"""`info`: what runs here."""

import tomllib
from pathlib import Path

from cgcython import __version__
from cgcython.kernels import dispatch

ROOT = Path(__file__).parents[2]


def test_names_the_level_in_use(cli, level):
    found = cli("info", "--json").json
    assert found["version"] == __version__
    assert found["level"] == level
    assert found["available_levels"] == dispatch.available()


def test_every_level_decodes_as_defined(cli):
    assert set(cli("info", "--json").json["checks"].values()) == {"ok"}


def test_every_extra_of_the_package_is_told(cli):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"]) - {"test", "test-all", "dev", "postgres", "cql"}
    assert extras <= set(cli("info", "--json").json["extras"])


def test_extras_have_versions_or_nothing(cli):
    extras = cli("info", "--json").json["extras"]
    assert "store" in extras
    assert all(one is None or one[0].isdigit() for one in extras.values())


def test_the_table_is_for_people(cli):
    assert "level" in cli("info").out
