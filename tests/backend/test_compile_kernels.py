"""The kernels are compiled ahead of the first job."""

import json

import numba
import pytest

from backend import compile_kernels


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """The jobs that were run to compile kernels, none of them really."""
    jobs = []
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compile_kernels.pipeline, "run", lambda job, *_: jobs.append(job))
    return jobs


def test_kernels_are_compiled_once(calls):
    assert compile_kernels.compile_kernels()
    assert not compile_kernels.compile_kernels()
    assert len(calls) == 1


@pytest.mark.parametrize("mark", ["", "[]", '["another numba", "another processor"]'])
def test_kernels_for_another_numba_or_processor_are_compiled_again(calls, mark):
    compile_kernels._mark_file().write_text(mark)
    assert compile_kernels.compile_kernels()
    assert json.loads(compile_kernels._mark_file().read_text())[0] == numba.__version__


def test_a_folder_that_cannot_be_written_is_no_error(calls, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    assert compile_kernels.compile_kernels()
