"""Manifests whose values are not of the kind that they have to be."""

import pytest
from bl_ext.user_default.orbit_texture.addon.headless import batch
from bl_ext.user_default.orbit_texture.backend.api.errors import InvalidSettings
from bl_ext.user_default.orbit_texture.backend.api.settings import Settings

from tests.fuzz.manifests import targets
from tests.fuzz.run import fuzz

JOB = "[[job]]\nblend = 'a.blend'\nimage = 'a.png'\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = " + "[" * 9999, "is not TOML"),
        ("defaults = 1", "The manifest's defaults must be a table, not 1"),
        ("job = 3", r"The manifest's job must be tables in two brackets, such as \[\[job\]\], not 3"),
        ("[job]\nblend = 'a.blend'", "The manifest's job must be tables"),
        (f"{JOB}objects = 'Hat'", r"A job's objects must be a list of names, such as \[.*\], not 'Hat'"),
        (f"{JOB}objects = [1]", "A job's objects must be a list of names"),
        (f"{JOB}images = ['a.png']", "A job's images must be a table of paths in quotes"),
        (f"{JOB}masks = {{Hat = 1}}", "A job's masks must be a table of paths in quotes"),
        (f"{JOB}folder = 1979-05-27", "A job's folder must be a path in quotes"),
        (f'{JOB}output = "a\\u0000b"', "A job's output must be a path in quotes"),
        (f"{JOB}own_references = 'yes'", "A job's own_references must be true or false, not 'yes'"),
        (f"{JOB}seed = [1]", "'seed' must be a whole number"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(tmp_path, text, message):
    (tmp_path / "jobs.toml").write_text(text)
    with pytest.raises(InvalidSettings, match=message):
        batch.read_manifest(tmp_path / "jobs.toml")


VALUES = (
    *("1", "-1", "1.5", "nan", "true", "''", "'Hat'", "[]", "['Hat']", "[1]", "[[1]]", "{}", "{Hat = 1}"),
    *("{Hat = 'a.png'}", "[{}]", "[{objects = 'Hat'}]", "1979-05-27", '"\\u0000"', "9" * 5000),
)
"""Values of which hardly any is right for a given key."""


def test_any_value_of_any_key_is_taken_or_explained(tmp_path):
    keys = (*sorted(batch._JOB_KEYS), "collections", "objects.Hat", "job", "defaults", "nonsense")
    for head in ("", "[defaults]\n", JOB, f"{JOB}[[job.rule]]\n"):
        for key in keys:
            for value in VALUES:
                text = f"{head}{key} = {value}\n" + (JOB if head == "[defaults]\n" else "")
                (tmp_path / "jobs.toml").write_text(text)
                try:
                    jobs = batch.read_manifest(tmp_path / "jobs.toml")
                except InvalidSettings:
                    continue
                for job in jobs:
                    assert isinstance(job.settings, Settings), text
                    assert job.objects is None or all(len(name) != 1 for name in job.objects), text


@pytest.mark.parametrize("reader", ["manifest", "report"])
def test_a_file_with_mistakes_is_read_or_refused_in_a_sentence(reader):
    tally = fuzz(targets()[reader], seed=0, count=300)
    assert not tally.broken
    assert tally.read
    assert tally.refused
