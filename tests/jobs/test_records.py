"""What is kept of invocations: a record that cannot be read hides no other."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from kilonova.errors import Unavailable
from kilonova.jobs.records import Job, Records, database_url, open_engine
from kilonova.wire.async_invoke import ListQuery, parse_start

BODY = b"""{"modelId": "fake", "modelInput": {"taskType": "SEGMENTED_EMBEDDING", "segmentedEmbeddingParams": {
    "embeddingPurpose": "GENERIC_INDEX", "text": {"source": {"s3Location": {"uri": "s3://media/\xe7\x81\xaf.txt"}}}}},
    "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://media/out"}}}"""


@pytest.mark.parametrize(
    "damage",
    ["request = '{'", "request = 'null'", "request = replace(request, 'text', 'smell')", "status = 'Postponed'"],
)
def test_a_job_that_cannot_be_read_hides_no_other(tmp_path: Path, damage: str) -> None:
    engine = open_engine(database_url(None, tmp_path))
    records = Records(engine)
    records.migrate()

    def start() -> Job:
        return records.start(
            parse_start(BODY), "", region="us-east-1", account="0" * 12, model="fake", served_by="fake", caller="me"
        )

    first, second, third = start(), start(), start()
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE kilonova_jobs SET {damage} WHERE id = :id"), {"id": second.view.id})
    page = records.page("0" * 12, "us-east-1", ListQuery(ascending=True))
    assert {job.view.id for job in page} == {first.view.id, third.view.id}
    assert {job.view.id for job in records.without_queue(-1.0)} == {first.view.id, third.view.id}
    with pytest.raises(Unavailable, match=f"The job {second.view.id} cannot be read.*Update Kilonova"):
        records.get(second.view.id)
    engine.dispose()
