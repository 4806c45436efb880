"""What is kept of every invocation, in SQLite or Postgres; docs/jobs.md describes the tables."""

from __future__ import annotations

import logging
import secrets
import string
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kilonova.errors import Conflict, KilonovaError, Unavailable
from kilonova.wire.async_invoke import JobStatus, JobView, ListQuery, StartRequest, parse_segmented

__all__ = ["Job", "Records", "database_url", "open_engine"]

_log = logging.getLogger("kilonova.jobs")

_meta = sa.MetaData()
_schema = sa.Table("kilonova_schema", _meta, sa.Column("version", sa.Integer, nullable=False))
_jobs = sa.Table(
    "kilonova_jobs",
    _meta,
    sa.Column("id", sa.String(12), primary_key=True),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("account", sa.String(12), nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("served_by", sa.Text, nullable=False),
    sa.Column("caller", sa.Text, nullable=False),
    sa.Column("token", sa.Text),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("failure", sa.Text),
    sa.Column("submitted", sa.Float, nullable=False),
    sa.Column("modified", sa.Float, nullable=False),
    sa.Column("ended", sa.Float),
    sa.Column("queued", sa.Boolean, nullable=False),
    sa.Column("begun", sa.Float),
    sa.Column("segments", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("position", sa.Float, nullable=False),
    sa.Column("length", sa.Float),
    sa.UniqueConstraint("account", "token"),
    sa.Index("kilonova_jobs_submitted", "submitted", "id"),
    sa.Index("kilonova_jobs_status", "status", "submitted"),
)
_servers = sa.Table(
    "kilonova_servers",
    _meta,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("beat", sa.Float, nullable=False),
)
#: Migrations by number: what brings a database from the version before to this one.
_MIGRATIONS: tuple[tuple[sa.Table, ...], ...] = ((_jobs, _servers),)
_LETTERS = string.ascii_lowercase + string.digits


@dataclass(frozen=True)
class Job:
    """An invocation as it is kept.

    Attributes:
        view: what Get and List answer.
        served_by: the model of the registry that embeds it.
        caller: name of the credential that started it.
        request: what was asked for.
        segments: lines written so far; ``failures`` of them say why there is no vector.
        position: how far the file is read, in seconds or bytes; ``length`` of the whole, where it is known.
        begun: when its first segment was wanted, seconds since 1970.
        queued: whether a queue has it.
    """

    view: JobView
    served_by: str
    caller: str
    request: StartRequest
    segments: int
    failures: int
    position: float
    length: float | None
    begun: float | None
    queued: bool


def database_url(given: str | None, folder: Path) -> str:
    """The database to use: a SQLAlchemy URL, by default a SQLite file in the folder for data."""
    if given:
        return given.replace("postgres://", "postgresql://", 1).replace("postgresql://", "postgresql+psycopg://", 1)
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'jobs.sqlite'}"


def open_engine(url: str) -> sa.Engine:
    """SQLAlchemy's engine for a URL."""
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_pre_ping=True, pool_size=20)
    engine = sa.create_engine(url, pool_size=20)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        connection.isolation_level = "IMMEDIATE"  # a writer waits for its turn instead of failing half-way
        connection.execute("PRAGMA busy_timeout=30000")
        connection.execute("PRAGMA foreign_keys=ON")
        # What was committed survives the death of the process; a power cut may cost the last moments, never the file.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


class Records:
    """Reads and writes jobs and the servers that work on them."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def migrate(self) -> None:
        """Bring the database to this version's tables.

        Raises:
            KilonovaError: it belongs to a newer Kilonova.
        """
        with self._engine.begin() as connection:
            if self._engine.dialect.name == "postgresql":  # one server at a time; SQLite's transactions do the same
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(7151623)"))
            _meta.create_all(connection, [_schema])
            found = connection.execute(sa.select(_schema.c.version)).scalar()
            if found is not None and found > len(_MIGRATIONS):
                raise KilonovaError(
                    f"The jobs database has version {found}; this Kilonova knows {len(_MIGRATIONS)}.",
                    "Update Kilonova.",
                )
            for tables in _MIGRATIONS[found or 0 :]:
                _meta.create_all(connection, tables)
            if found is None:
                connection.execute(_schema.insert().values(version=len(_MIGRATIONS)))
            else:
                connection.execute(_schema.update().values(version=len(_MIGRATIONS)))

    def start(
        self, request: StartRequest, digest: str, *, region: str, account: str, model: str, served_by: str, caller: str
    ) -> Job:
        """Keep a new job, or find the one that the same token started.

        Raises:
            Conflict: the token started another input.
        """
        now = time.time()
        row = {
            "id": "".join(secrets.choice(_LETTERS) for _ in range(12)),
            "region": region,
            "account": account,
            "model": model,
            "served_by": served_by,
            "caller": caller,
            "token": request.clientRequestToken,
            "digest": digest,
            "request": request.model_dump_json(exclude_unset=True),
            "status": JobStatus.IN_PROGRESS,
            "failure": None,
            "submitted": now,
            "modified": now,
            "ended": None,
            "queued": False,
            "begun": None,
            "segments": 0,
            "failures": 0,
            "position": 0.0,
            "length": None,
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(_jobs.insert().values(row))
        except sa.exc.IntegrityError:
            return self._same(account, request.clientRequestToken, digest)
        return self._job(row)

    def _same(self, account: str, token: str | None, digest: str) -> Job:
        with self._engine.connect() as connection:
            found = connection.execute(
                sa.select(_jobs).where(_jobs.c.account == account, _jobs.c.token == token)
            ).mappings().one()  # fmt: skip
        if found["digest"] != digest:
            raise Conflict(
                f"The clientRequestToken {token!r} was used with another input.",
                "Send a new token for a new invocation.",
            )
        return self._job(found)

    def get(self, job: str) -> Job | None:
        """The job of that id.

        Raises:
            Unavailable: it cannot be read.
        """
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(_jobs).where(_jobs.c.id == job)).mappings().one_or_none()
        return None if found is None else self._job(found)

    def page(self, account: str, region: str, query: ListQuery) -> list[Job]:
        """A page of an account's jobs, one more than asked for when there are more."""
        key = sa.tuple_(_jobs.c.submitted, _jobs.c.id)
        wanted = [_jobs.c.account == account, _jobs.c.region == region]
        if query.after is not None:
            wanted.append(_jobs.c.submitted > query.after)
        if query.before is not None:
            wanted.append(_jobs.c.submitted < query.before)
        if query.status is not None:
            wanted.append(_jobs.c.status == query.status)
        if query.start is not None:
            place = sa.tuple_(sa.literal(query.start[0]), sa.literal(query.start[1]))
            wanted.append(key > place if query.ascending else key < place)
        order = (_jobs.c.submitted, _jobs.c.id) if query.ascending else (_jobs.c.submitted.desc(), _jobs.c.id.desc())
        statement = sa.select(_jobs).where(*wanted).order_by(*order).limit(query.limit + 1)
        with self._engine.connect() as connection:
            return list(self._readable(connection.execute(statement).mappings()))

    def mark_as_queued(self, job: str) -> None:
        """Note that the job waits to be run, so that it is not queued again."""
        self._update(job, queued=True)

    def without_queue(self, older: float) -> list[Job]:
        """Jobs that a server kept but died before it could queue them."""
        statement = sa.select(_jobs).where(
            _jobs.c.status == JobStatus.IN_PROGRESS, _jobs.c.queued.is_(False), _jobs.c.submitted < time.time() - older
        )
        with self._engine.connect() as connection:
            return list(self._readable(connection.execute(statement).mappings()))

    def begin(self, job: str) -> None:
        """Note that work on it begins."""
        self._update(job, begun=time.time())

    def progress(self, job: str, segments: int, failures: int, position: float, length: float | None) -> bool:
        """Note how far it is; whether it may go on."""
        return self._update(
            job, JobStatus.IN_PROGRESS, segments=segments, failures=failures, position=position, length=length,
            modified=time.time(),
        )  # fmt: skip

    def end(self, job: str, failure: str | None = None) -> bool:
        """Note that it has ended; False when it had ended before."""
        now = time.time()
        status = JobStatus.COMPLETED if failure is None else JobStatus.FAILED
        return self._update(job, JobStatus.IN_PROGRESS, status=status, failure=failure, modified=now, ended=now)

    def counts(self) -> tuple[dict[str, int], float | None]:
        """Jobs by state (waiting, running, completed, failed), and since when the oldest one waits."""
        running = sa.and_(_jobs.c.status == JobStatus.IN_PROGRESS, _jobs.c.begun.is_not(None))
        waiting = sa.and_(_jobs.c.status == JobStatus.IN_PROGRESS, _jobs.c.begun.is_(None))
        state = sa.case(
            (running, "running"),
            (waiting, "waiting"),
            (_jobs.c.status == JobStatus.COMPLETED, "completed"),
            else_="failed",
        )
        with self._engine.connect() as connection:
            found = {
                row[0]: int(row[1]) for row in connection.execute(sa.select(state, sa.func.count()).group_by(state))
            }
            oldest = connection.execute(sa.select(sa.func.min(_jobs.c.submitted)).where(waiting)).scalar()
        return found, oldest

    def beat(self, server: str, host: str, pid: int) -> None:
        """Note that a server lives."""
        with self._engine.begin() as connection:
            connection.execute(_servers.delete().where(_servers.c.id == server))
            connection.execute(_servers.insert().values(id=server, host=host, pid=pid, beat=time.time()))

    def retire(self, server: str) -> None:
        """Note that a server has stopped: whoever looks next takes over what it left."""
        with self._engine.begin() as connection:
            connection.execute(_servers.update().where(_servers.c.id == server).values(beat=0.0))

    def servers(self) -> Sequence[sa.RowMapping]:
        """The servers that were not seen to die: id, host, pid, beat."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(_servers)).mappings().all()

    def forget(self, server: str) -> None:
        """Drop a server that died."""
        with self._engine.begin() as connection:
            connection.execute(_servers.delete().where(_servers.c.id == server))

    def _update(self, job: str, only: str | None = None, **values: Any) -> bool:
        statement = _jobs.update().where(_jobs.c.id == job).values(**values)
        if only is not None:
            statement = statement.where(_jobs.c.status == only)
        with self._engine.begin() as connection:
            return bool(connection.execute(statement).rowcount)

    def _readable(self, rows: Iterable[Any]) -> Iterator[Job]:
        """The jobs of rows; one that cannot be read does not hide the others."""
        for row in rows:
            try:
                yield self._job(row)
            except Unavailable as fault:
                _log.warning("%s", fault)

    @staticmethod
    def _job(row: Any) -> Job:
        """A row as a job.

        Raises:
            Unavailable: a newer Kilonova wrote it, or it is damaged.
        """
        try:
            request, status = parse_segmented(row["request"]), JobStatus(row["status"])
        except ValueError as error:  # pydantic's is one, too
            reason = " ".join(str(error).split())[:200]
            raise Unavailable(f"The job {row['id']} cannot be read: {reason}.", "Update Kilonova.") from None
        view = JobView(
            id=row["id"],
            region=row["region"],
            account=row["account"],
            model=row["model"],
            output=request.output,
            status=status,
            submitted=row["submitted"],
            modified=row["modified"],
            ended=row["ended"],
            token=row["token"],
            failure=row["failure"],
        )
        return Job(
            view,
            row["served_by"],
            row["caller"],
            request,
            row["segments"],
            row["failures"],
            row["position"],
            row["length"],
            row["begun"],
            row["queued"],
        )
