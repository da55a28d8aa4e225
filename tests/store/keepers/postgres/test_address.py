"""A URL is libpq's but for the schema, and what is shown of it has no password."""

import pytest

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.postgres.address import Address
from cgcython.store.keepers.postgres.layout import Tables


@pytest.mark.parametrize(
    ("url", "passed", "schema", "place"),
    [
        ("postgresql://h/d", "postgresql://h/d", "cgcython", "postgresql://h/d"),
        ("postgres:///d?schema=s", "postgres:///d", "s", "postgres:///d?schema=s"),
        (
            "postgresql://u:p@h:1,i:2/d?a=1&schema=x%20y&b=2",
            "postgresql://u:p@h:1,i:2/d?a=1&b=2",
            "x y",
            "postgresql://u@h:1,i:2/d?a=1&schema=x%20y&b=2",
        ),
        (
            "postgresql://[::1]/d?password=p&host=/tmp",
            "postgresql://[::1]/d?password=p&host=/tmp",
            "cgcython",
            "postgresql://[::1]/d?host=/tmp",
        ),
        ("postgresql://u@h/d@e", "postgresql://u@h/d@e", "cgcython", "postgresql://u@h/d@e"),
    ],
)
def test_the_schema_is_taken_out_and_the_rest_is_passed(url, passed, schema, place):
    assert Address.of(url)[:3] == (passed, schema, place)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@h/d",
        "postgresql://u:se%63ret@h/d",
        "postgresql://u:secret/x@h/d",
        "postgresql://u:a:secret@x@h/d",
        "postgresql:///d?password=secret&sslpassword=se%63ret",
    ],
)
def test_no_password_is_shown(url):
    address = Address.of(url)
    message = f"{address.url} {address.url[:-1]}\n{' '.join(address.secrets)}"
    assert "se%63ret" not in address.place + address.cleared(message)
    assert "secret" not in address.place + address.cleared(message)


@pytest.mark.parametrize("schema", ["", "x" * 64, "ä" * 32, "pg_mine", "a%00b"])
def test_names_that_no_schema_has_are_refused(schema):
    with pytest.raises(StoreUnavailable, match=r"write \?schema=NAME"):
        Address.of(f"postgresql://u:secret@h/d?schema={schema}")


def test_parameters_of_the_url_are_known():
    address = Address.of("postgresql://h/d?connect_timeout=3&schema=s")
    assert address.sets("connect_timeout")
    assert not address.sets("schema")


def test_names_are_quoted():
    assert Tables.of('a "b"').records == '"a ""b""".records'
