"""What a container of one's own finds about its run."""

import json

import pytest
from click.testing import CliRunner

from modelway.cli import main

ARGUMENTS = (
    "--input=s3://lake/dt={date}/",
    "--output=s3://scores/dt={date}/{time}/",
    "--input-format=csv",
    "--output-format=parquet",
    "--columns=id,day",
    "--shards=8",
    "--version=17",
    "--digest=sha256:9f",
    "--time-zone=Europe/Madrid",
    "--date-offset=-86400",
)
OF_A_JOB = {"MODELWAY_CRON_JOB": "fraud-nightly", "MODELWAY_JOB": "fraud-nightly-29738175", "JOB_COMPLETION_INDEX": "3"}


@pytest.fixture
def resolve(tmp_path, monkeypatch):
    for name in (*OF_A_JOB, "MODELWAY_DATE"):
        monkeypatch.delenv(name, raising=False)
    words = tmp_path / "words"
    words.touch()

    def call(**environment):
        file = tmp_path / "run.json"
        told = environment | {"MODELWAY_TERMINATION_LOG": str(words)}
        result = CliRunner(env=told).invoke(main, ["batch", "resolve", f"--to={file}", *ARGUMENTS])
        return result.exit_code, json.loads(file.read_text()) if file.exists() else json.loads(words.read_text())

    return call


def test_the_file_holds_all_that_docs_batch_md_promises(resolve):
    assert resolve(**OF_A_JOB) == (
        0,
        {
            "format": "modelway.dev/batch-run/1",
            "input": {"uri": "s3://lake/dt=2026-07-16/", "format": "csv"},
            "output": {"uri": "s3://scores/dt=2026-07-16/1415/", "format": "parquet", "columns": ["id", "day"]},
            "date": "2026-07-16T1415",
            "shard": 3,
            "shards": 8,
            "model": {"version": "17", "digest": "sha256:9f"},
        },
    )


def test_a_day_that_is_said_counts(resolve):
    code, run = resolve(**OF_A_JOB, MODELWAY_DATE="2026-01-05T0000")
    assert (code, run["date"]) == (0, "2026-01-05T0000")


def test_a_job_made_by_hand_ends_the_run_with_the_reason(resolve):
    code, words = resolve(**OF_A_JOB | {"MODELWAY_JOB": "by-hand"})
    assert (code, words["reason"]) == (43, "DateUnknown")
    assert "the Job by-hand was made by hand" in words["message"]


def test_without_a_job_the_date_is_asked_for(resolve):
    code, words = resolve()
    assert (code, words["reason"]) == (43, "DateUnknown")
