"""Files that `include` seems to miss."""

from __future__ import annotations

import pytest

from gateway.config import Config
from gateway.errors import ConfigError
from tests.unit.config.folder import Folder


def tenant(name: str) -> str:
    return f"tenant: {name}\naccounts: {{{name}-shop: {{keys: [key-of-the-shop-of-{name}]}}}}\n"


def warnings(config: Config) -> list[str]:
    return list(map(str, config.warnings))


@pytest.mark.parametrize(
    ("pattern", "missed"),
    [
        ("tenants/*.yaml", "tenants/north.yml"),
        ("tenants/*.yml", "tenants/north.yaml"),
        ("tenants/*.yaml", "tenants/north.YAML"),
        ("tenants/**/*.yaml", "tenants/deep/er/north.yml"),
        ("tenants/[ns]*.yaml", "tenants/north.yml"),
    ],
)
def test_a_file_that_differs_in_its_ending_is_a_warning(folder: Folder, pattern: str, missed: str) -> None:
    south = f"tenants/south{pattern[-5:] if pattern.endswith('.yaml') else '.yml'}"
    config = folder.load(f"plugins: []\ninclude: ['{pattern}']\n", {south: tenant("south"), missed: tenant("north")})
    assert warnings(config) == [f"gateway.yaml:2: include: {missed} is not included: no pattern matches it"]
    assert [include.files for include in config.includes] == [(south,)]


def test_a_file_that_another_pattern_includes_is_not_missed(folder: Folder) -> None:
    files = {"tenants/north.yml": tenant("north"), "tenants/south.yaml": tenant("south"), "tenants/notes.txt": ""}
    assert warnings(folder.load("include: [tenants/*.yaml, tenants/*.yml]\n", files)) == []
    assert warnings(folder.load("include: [tenants/*.yaml, tenants/north.yml]\n", files)) == []
    assert warnings(folder.load("include: [tenants/south.yaml]\n", files)) == []


@pytest.mark.parametrize(
    ("pattern", "folder_name"),
    [
        ("tenants/*", "tenants/archive"),
        ("tenants/*.yaml", "tenants/north.yaml"),
        ("tenants/**/*.yaml", "tenants/deep/north.yaml"),
        ("tenants/*/", "tenants/archive"),
    ],
)
def test_a_folder_that_a_pattern_matches_is_an_error(folder: Folder, pattern: str, folder_name: str) -> None:
    files = {"tenants/south.yaml": tenant("south"), f"{folder_name}/notes.txt": ""}
    with pytest.raises(ConfigError) as caught:
        folder.load(f"include: ['{pattern}']\n", files)
    says = f"gateway.yaml:1: include[0]: {folder_name} is a folder; expected files of tenants"
    assert says in map(str, caught.value.problems)


def test_a_pattern_for_all_depths_may_match_folders(folder: Folder) -> None:
    config = folder.load("include: ['tenants/**']\n", {"tenants/deep/south.yaml": tenant("south")})
    assert [*config.accounts] == ["south-shop"]


def test_a_pattern_that_matches_nothing_is_a_warning(folder: Folder) -> None:
    config = folder.load("include:\n  - tenants/*.yaml\n  - more/*.yaml\n", {"more/south.yaml": tenant("south")})
    assert warnings(config) == ["gateway.yaml:2: include[0]: no file matches tenants/*.yaml"]
    assert [(include.pattern, len(include.files)) for include in config.includes] == [
        ("tenants/*.yaml", 0),
        ("more/*.yaml", 1),
    ]


@pytest.mark.parametrize("text", ["tenant: north\n", "tenant: north\naccounts:\n", "tenant: north\naccounts: {}\n"])
def test_a_tenants_file_without_accounts_is_a_warning(folder: Folder, text: str) -> None:
    config = folder.load("include: '*th.yaml'\n", {"north.yaml": text, "south.yaml": tenant("south")})
    assert warnings(config) == ["north.yaml:1: the file has no accounts"]
