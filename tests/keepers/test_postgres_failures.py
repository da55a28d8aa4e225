"""What goes wrong is said in one sentence with a remedy, and never with a password."""

from contextlib import contextmanager

import pytest
from keepers.postgres_stores import NUMBERS, added, fill, superuser

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store.keeper import Outdated
from cgcython.store.keepers import postgres as keepers
from cgcython.store.keepers.postgres import connections
from cgcython.store.keepers.postgres.address import Address
from cgcython.store.keepers.postgres.layout import Tables

pytestmark = pytest.mark.keepers
psycopg = pytest.importorskip("psycopg", reason="not run: no psycopg")


@pytest.fixture
def keeper(open_postgres):
    return open_postgres()


def tables_of(url):
    return Tables.of(Address.of(url).schema)


def refusal(url, call=lambda url: keepers.Schema(url).exists()):
    """Return what a call says of a URL that it refuses."""
    with pytest.raises(StoreUnavailable) as caught:
        call(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@contextmanager
def setting(server, text):
    """Change a setting of the server for a while."""
    with superuser(server) as connection:
        connection.execute(f"ALTER SYSTEM SET {text}")
        connection.execute("SELECT pg_reload_conf()")
        yield
        connection.execute(f"ALTER SYSTEM RESET {text.split()[0]}")
        connection.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("?host=", "?host=/nowhere"), "cannot be reached .*; start it, or correct the host"),
        (("cgcython@", "nobody:secret@"), "refuses the user .*; correct user and password"),
        (("/postgres?", "/nothing?"), "no such database .*; make it with createdb"),
        (("?host=", "?nothing=1&host="), "its URL is wrong: .*nothing"),
        (("cgcython@", "cgcython:secret@h:x"), "its URL is wrong|cannot be reached"),
    ],
    ids=["server", "user", "database", "parameter", "port"],
)
def test_wrong_urls_are_refused_with_a_remedy(postgres, change, said):
    with pytest.raises(StoreUnavailable, match=said):
        keepers.Schema(postgres.url.replace(*change)).exists()
    refusal(postgres.url.replace(*change))


def test_a_wrong_password_is_not_shown(postgres, monkeypatch):
    import psycopg

    error = psycopg.OperationalError(f"no: {postgres.url} secret")
    monkeypatch.setattr(psycopg, "connect", lambda *_, **__: (_ for _ in ()).throw(error))
    said = refusal(postgres.url.replace("cgcython@", "cgcython:secret@") + "&sslpassword=secret")
    assert "store postgresql://cgcython@/postgres?host=" in said


@pytest.fixture
def locked_url(postgres):
    """Return a URL of a user who needs the password `secret`."""
    rules = postgres.data / "pg_hba.conf"
    before = rules.read_text()
    with superuser(postgres) as connection:
        connection.execute("CREATE ROLE locked LOGIN PASSWORD 'secret'")
        rules.write_text(f"local all locked scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        yield postgres.url.replace("cgcython@", "locked:secret@")
        rules.write_text(before)
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("DROP ROLE locked")


def test_passwords_are_asked_for_and_not_shown(locked_url):
    assert not keepers.Schema(locked_url).exists()
    wrong = locked_url.replace("secret", "secret-but-wrong")
    for url in (wrong, locked_url.replace(":secret", "")):
        assert "correct user and password, in the URL, in PGPASSWORD" in refusal(url)


def test_a_user_without_rights_is_told_which(postgres, postgres_place):
    with superuser(postgres) as connection:
        connection.execute("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN")
    url = postgres_place().replace("cgcython@", "guest:secret@")
    said = refusal(url, lambda url: keepers.Schema(url).create({}, NUMBERS))
    assert "CREATE ON DATABASE" in said
    assert "CREATE SCHEMA name AUTHORIZATION user" in said


def test_a_user_who_may_only_select_reads(postgres, postgres_url, open_postgres):
    schema, url = tables_of(postgres_url).schema, postgres_url.replace("cgcython@", "reader@")
    with superuser(postgres) as connection:
        connection.execute("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN")
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO reader")
        assert "permission denied" in refusal(url, keepers.PostgresKeeper)
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader")
        keys = fill(open_postgres(), range(3))
        reader = open_postgres(url, read_only=True)
        assert reader.changes_since(0) == [one for one, _ in reader.scan_heads()] == keys
        reader.close()
        connection.execute("DROP OWNED BY reader; DROP ROLE reader")


def test_a_schema_of_other_tables_is_left_alone(postgres, postgres_place):
    url = postgres_place()
    tables = tables_of(url)
    with superuser(postgres) as connection:
        connection.execute(f"CREATE SCHEMA {tables.schema}; CREATE TABLE {tables.schema}.mine ()")
    assert "?schema=NAME" in refusal(url, lambda url: keepers.Schema(url).create({}, NUMBERS))


def test_a_database_must_have_utf8(postgres, postgres_place):
    with superuser(postgres) as connection:
        options = "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"
        connection.execute(f"CREATE DATABASE latin {options}")
    url = postgres_place().replace("/postgres?", "/latin?")
    said = refusal(url, lambda url: keepers.Schema(url).create({}, NUMBERS))
    assert "encoding LATIN1; use one made with ENCODING 'UTF8'" in said


def test_an_old_server_is_refused(postgres, monkeypatch):
    monkeypatch.setattr(connections, "OLDEST", 99)
    assert "use one of version 99 or later" in refusal(postgres.url)


def test_there_is_no_store_to_open(postgres_place, postgres_url, postgres):
    assert "there is no store; check the URL" in refusal(postgres_place(), keepers.PostgresKeeper)
    with superuser(postgres) as connection:
        about = tables_of(postgres_url).about
        connection.execute(f"UPDATE {about} SET value = '9' WHERE name = 'layout'")
    said = refusal(postgres_url, keepers.PostgresKeeper)
    assert "layout 9, this release reads 1; use the release that wrote it" in said


def test_tables_that_are_gone_are_missed(keeper, postgres, postgres_url):
    with superuser(postgres) as connection:
        connection.execute(f"DROP SCHEMA {tables_of(postgres_url).schema} CASCADE")
    for call in (lambda: keeper.heads([b"a"]), lambda: keeper.write([added(1)]), keeper.sizes):
        with pytest.raises(StoreUnavailable, match="restore them from a backup"):
            call()


def test_a_server_that_is_too_slow_is_given_more_time(postgres_url, open_postgres):
    keeper = open_postgres(postgres_url + "&options=-cstatement_timeout%3D100")
    with pytest.raises(StoreUnavailable, match="raise statement_timeout"):
        keeper._rows("SELECT pg_sleep(9)", [])
    assert keeper.heads([b"a"]) == [None]


@pytest.mark.parametrize(
    ("state", "kind", "said"),
    [
        ("53100", StoreUnavailable, "the disk of its server is full .*; free some of it"),
        ("53300", StoreUnavailable, "raise max_connections"),
        ("25006", StoreUnavailable, "name the primary"),
        ("XX002", StorageCorruption, "is damaged"),
        ("40001", Outdated, "asked for"),
        ("40P01", Outdated, "asked for"),
        ("22012", StoreUnavailable, "asked for"),
    ],
)
def test_errors_of_the_server_have_a_meaning(keeper, state, kind, said):
    raised = f"DO $$ BEGIN RAISE 'asked for' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(kind, match=said):
        keeper._session.write(lambda link: link.run(raised))
    assert keeper.heads([b"a"]) == [None]


def test_a_server_tells_what_survives_the_loss_of_power(postgres, postgres_url, open_postgres):
    risky = postgres_url + "&options=-csynchronous_commit%3Doff"
    assert open_postgres().promises.durable
    assert not open_postgres(risky).promises.durable
    assert open_postgres(risky, sync=True).promises.durable
    with setting(postgres, "fsync = off"):
        assert not open_postgres().promises.durable
        sync = refusal(postgres_url, lambda url: keepers.PostgresKeeper(url, sync=True))
        assert "fsync = on" in sync


def test_a_copy_is_left_to_the_servers_own_program(keeper, tmp_path):
    with pytest.raises(StoreUnavailable, match="pg_dump --schema"):
        keeper.backup(tmp_path / "copy")


def test_a_damaged_row_is_named_and_the_others_are_read(keeper, postgres, postgres_url):
    keys = fill(keeper, range(5))
    damage(postgres, tables_of(postgres_url), keys[2])
    found = keeper.records(keys)
    assert [type(one) for one in found].count(StorageCorruption) == 1
    assert "record " in str(found[2].where)
    assert isinstance(keeper.heads(keys)[2], StorageCorruption)
    assert [isinstance(one, StorageCorruption) for _, one in keeper.scan_heads()] == [
        n == 2 for n in range(5)
    ]
    assert isinstance(dict(keeper.scan_records())[keys[2]].head, StorageCorruption)
    assert isinstance(next(keeper.scan_sections(0)).sections[2], StorageCorruption)


def damage(server, tables, damaged_key):
    """Have the server find a row damaged, as it does where a page has a wrong checksum."""
    with superuser(server) as connection:
        connection.execute(f"""
            ALTER TABLE {tables.records} RENAME TO sound;
            CREATE FUNCTION {tables.schema}.damaged(bytea) RETURNS bytea STABLE LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'invalid page' USING ERRCODE = 'XX001'; END $$;
            CREATE VIEW {tables.records} AS SELECT id, metadata, gone, e1, e12,
                CASE WHEN id = '\\x{damaged_key.hex()}' THEN {tables.schema}.damaged(e0)
                     ELSE e0 END AS e0,
                CASE WHEN id = '\\x{damaged_key.hex()}' THEN {tables.schema}.damaged(head)
                     ELSE head END AS head FROM {tables.schema}.sound
        """)
