"""The journal's tables. All of them ship from the first version, so that no run ever meets a migration.

`event` is append-only by trigger. An owner of the file can drop a trigger: the hash chain shows that, and
the head hash printed in reports and tickets anchors it outside.
`res_lock` rows are never deleted: their fence only grows. `run.state` and `run.direction` are projections
of the log, to list and to find runs: no driver decides on them, and `verify` compares the two. `spool` holds
results while the journal is away.
"""

from __future__ import annotations

SCHEMA_VERSION = 1

TABLES = (
    "CREATE TABLE meta (schema_version INTEGER NOT NULL, journal_id TEXT NOT NULL)",
    """CREATE TABLE run (
        run_id TEXT PRIMARY KEY, runbook_id TEXT NOT NULL, runbook_version TEXT NOT NULL,
        definition TEXT NOT NULL, definition_sha TEXT NOT NULL, actions TEXT NOT NULL, ticket TEXT,
        created_by TEXT NOT NULL, created_host TEXT NOT NULL, created_at TEXT NOT NULL,
        state TEXT NOT NULL, direction TEXT NOT NULL,
        driver TEXT, driver_user TEXT, fence BIGINT NOT NULL, lease_until TIMESTAMPTZ,
        head_seq BIGINT NOT NULL, head_hash TEXT NOT NULL, closed_at TEXT)""",
    """CREATE TABLE event (
        run_id TEXT NOT NULL REFERENCES run (run_id), seq BIGINT NOT NULL, uid TEXT NOT NULL UNIQUE,
        ts TEXT NOT NULL, kind TEXT NOT NULL, actor TEXT NOT NULL, console TEXT NOT NULL, db_user TEXT,
        fence BIGINT, step TEXT, phase TEXT, attempt INTEGER, reply_to BIGINT, data TEXT NOT NULL,
        prev_hash TEXT NOT NULL, hash TEXT NOT NULL, sig TEXT, PRIMARY KEY (run_id, seq))""",
    "CREATE TABLE res_lock (resource TEXT PRIMARY KEY, run_id TEXT, fence BIGINT NOT NULL, since TEXT)",
    """CREATE TABLE console (
        console_id TEXT PRIMARY KEY, host TEXT NOT NULL, boot_id TEXT NOT NULL, pid BIGINT NOT NULL,
        pid_start BIGINT NOT NULL, "user" TEXT NOT NULL, started_at TEXT NOT NULL, seen_at TEXT NOT NULL)""",
)

SQLITE_ONLY = (
    """CREATE TABLE spool (
        n INTEGER PRIMARY KEY, run_id TEXT NOT NULL, uid TEXT NOT NULL, ts TEXT NOT NULL,
        payload TEXT NOT NULL, drained TEXT)""",
    """CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    # INSERT OR REPLACE deletes without firing the trigger above
    """CREATE TRIGGER event_is_never_replaced BEFORE INSERT ON event
        WHEN EXISTS (SELECT 1 FROM event WHERE uid = NEW.uid OR (run_id = NEW.run_id AND seq = NEW.seq))
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
)

# The server itself says who wrote (`db_user`), and tells every listener of a new entry: an id, nothing more.
OPERATOR_ROLE = "interlock_operator"
CHANNEL = "interlock_journal"
POSTGRES_ONLY = (
    """CREATE FUNCTION event_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$""",
    """CREATE TRIGGER event_is_never_changed BEFORE UPDATE OR DELETE ON event
        FOR EACH ROW EXECUTE FUNCTION event_is_append_only()""",
    """CREATE TRIGGER event_is_never_emptied BEFORE TRUNCATE ON event
        FOR EACH STATEMENT EXECUTE FUNCTION event_is_append_only()""",
    """CREATE FUNCTION event_is_written_by_its_user() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.db_user IS DISTINCT FROM session_user::text THEN
                RAISE EXCEPTION 'an entry of % cannot be written by %', NEW.db_user, session_user;
            END IF;
            RETURN NEW;
        END $$""",
    """CREATE TRIGGER event_is_written_by_its_user BEFORE INSERT ON event
        FOR EACH ROW EXECUTE FUNCTION event_is_written_by_its_user()""",
    f"""CREATE FUNCTION event_is_told() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_notify('{CHANNEL}', NEW.run_id || ':' || NEW.seq); RETURN NULL; END $$""",
    """CREATE TRIGGER event_is_told AFTER INSERT ON event
        FOR EACH ROW EXECUTE FUNCTION event_is_told()""",
)
GRANTS = (
    f"GRANT SELECT ON meta TO {OPERATOR_ROLE}",
    f"GRANT SELECT, INSERT ON event TO {OPERATOR_ROLE}",
    f"GRANT SELECT, INSERT, UPDATE ON run, res_lock, console TO {OPERATOR_ROLE}",
)
