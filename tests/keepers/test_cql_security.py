"""A cluster that wants TLS, a user and a password gets them, or says what is missing."""

import subprocess
from contextlib import closing

import pytest
from keepers.conftest import folder, running
from keepers.cql_stores import NUMBERS, fill, head, key
from services import cassandra as service

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers import cql as keepers

pytestmark = pytest.mark.keepers
SETTINGS = """
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
client_encryption_options:
  enabled: true
  keystore: {}/keys
  keystore_password: secret
  store_type: PKCS12
"""
STORE = ["-alias", "node", "-keystore", "keys", "-storepass", "secret"]
MAKE = "-genkeypair -keyalg RSA -dname CN=node -storetype PKCS12 -ext bc=ca:true -ext san=ip:{}"


@pytest.fixture(scope="module")
def secured():
    """Return the URL of a node that wants both, and the file that signs its certificate."""
    with folder() as path:
        server = service.Cluster(path, first=5, settings=SETTINGS.format(path))
        try:
            service.require_java()
        except service.NotRun as error:
            pytest.skip(f"not run: {error}")
        for command in (
            [*MAKE.format(server.hosts[0]).split(), *STORE],
            ["-exportcert", "-rfc", "-file", "ca.pem", *STORE],
        ):
            subprocess.run(["keytool", *command], cwd=path, check=True, capture_output=True)
        for one in running(server, service.NotRun, "cassandra.cluster"):
            yield f"cql://{one.hosts[0]}/notes?replication=1", f"{path}/ca.pem"


def test_a_store_is_made_with_tls_user_and_password(secured, monkeypatch):
    url, authority = secured
    place = f"{url}&tls={authority}&user=cassandra"
    monkeypatch.setenv("CGCYTHON_CQL_PASSWORD", "cassandra")
    keepers.create(place, {}, NUMBERS)
    with closing(keepers.CqlKeeper(place)) as keeper:
        fill(keeper, [1])
        assert keeper.heads([key(1)]) == [head(1)]
        keeper._connection.change_schema("CREATE ROLE ada WITH PASSWORD = 'x' AND LOGIN = true")
    with pytest.raises(StoreUnavailable, match=r"ada has no SELECT permission.*GRANT"):
        keepers.CqlKeeper(place.replace("=cassandra", "=ada"), password="x")


def test_what_is_missing_is_said(secured):
    url, authority = secured
    for query, password, said in (
        ("", None, "tls=/path/of/ca.pem where they want TLS"),
        ("&tls=&user=cassandra", "cassandra", "cannot speak TLS"),
        (f"&tls={authority}", None, "refuses the user"),
        (f"&tls={authority}&user=cassandra", "wrong", "refuses the user"),
    ):
        with pytest.raises(StoreUnavailable, match=said) as caught:
            keepers.exists(f"{url}&timeout=3{query}", password)
        assert "wrong" not in str(caught.value)
