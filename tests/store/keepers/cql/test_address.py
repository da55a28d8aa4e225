"""The URL of a store in Cassandra says where it is and how to speak to it, never a password."""

import pytest

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.cql.address import Address

URL = "cql://one,two:9043,[::1]:9044/notes"


def test_all_that_a_url_says_is_read(monkeypatch):
    monkeypatch.setenv("CGCYTHON_CQL_PASSWORD", "secret")
    found = Address.of(
        f"{URL}?tenant=ada%20l&consistency=local_quorum&dc=dc1&tls=/ca.pem&user=u&buckets=64"
        "&replication=3&timeout=20&overlap=60"
    )
    assert found.hosts == (("one", 9042), ("two", 9043), ("::1", 9044))
    assert (found.keyspace, found.tenant, found.consistency) == ("notes", "ada l", "LOCAL_QUORUM")
    assert (found.dc, found.tls, found.user, found.password) == ("dc1", "/ca.pem", "u", "secret")
    assert (found.buckets, found.replication, found.timeout_s, found.overlap_s) == (64, 3, 20, 60)
    assert "secret" not in found.place


def test_what_a_url_leaves_out_has_a_default():
    found = Address.of(URL, password="given")
    assert (found.tenant, found.consistency, found.buckets) == ("main", "QUORUM", 16)
    assert (found.password, found.only_reads) == ("given", False)
    assert Address.of(f"{URL}?consistency=ONE").only_reads


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("cql://host", "a keyspace of small letters"),
        ("cql:///notes", "HOST or HOST:PORT"),
        ("cql://host:x/notes", "HOST or HOST:PORT"),
        ("cql://host/Notes", "a keyspace of small letters"),
        (f"{URL}?colour=red", "parameters among tenant, consistency, dc,.* got 'colour'"),
        (f"{URL}?consistency=SOME", "a consistency among QUORUM"),
        (f"{URL}?buckets=0", "a number from 1 to 4096"),
        (f"{URL}?timeout=soon", "seconds"),
        (f"{URL}?timeout=20", "an overlap longer than the timeout"),
        (f"{URL}?tenant=", "of 1 to 256 bytes"),
        ("cql://ada:secret@host/notes", "the password in CGCYTHON_CQL_PASSWORD"),
    ],
)
def test_a_wrong_url_is_refused_with_its_form(url, message):
    with pytest.raises(StoreUnavailable, match=message) as caught:
        Address.of(url)
    assert "cql://HOST,HOST:9042/KEYSPACE?tenant=NAME" in str(caught.value)
    assert "secret" not in str(caught.value)
