"""Every command that reads arrays reads Parquet too."""

import json
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cgcython.cli import main

ROWS = 300
ROW = '{ dimension = 16, method = "%s" }\n'
IDS = [str(uuid.UUID(int=i + 1)) for i in range(ROWS)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).standard_normal((ROWS, 16), dtype=np.float32)
    vectors = pa.array(rows.tolist(), pa.list_(pa.float32(), 16))
    languages = ["en", None] * (ROWS // 2)
    table = pa.table({"key": IDS, "E1": vectors, "E8": vectors, "lang": languages})
    pq.write_table(table, "docs.parquet", row_group_size=100)
    pq.write_table(table.slice(0, 3).select(["E8"]), "queries.parquet")
    pq.write_table(pa.table({"q": [0, 1], "m": [0, 1], "gain": [1, 1]}), "qrels.parquet")
    (tmp_path / "mine.toml").write_text("E1 = " + ROW % "pq8" + "E8 = " + ROW % "float8_e4m3")


def run(*arguments):
    return main([*arguments, "--json"])


PROFILE = ("--profile", "mine.toml")


@pytest.mark.filterwarnings("ignore:300 samples")
def test_train_encode_search_drift_and_eval_read_tables(capsys):
    models = ("--models", "models", *PROFILE)
    assert run("train", "E1", "--input", "docs.parquet:E1", "--bytes", "8", "--force", *models) == 0
    assert run("encode", "docs.parquet", "--ids", "key", "--store", "memories", *models) == 0
    assert run("drift", "E1=docs.parquet", *models) == 0
    judged = ("--queries", "E8=queries.parquet", "--qrels", "qrels.parquet")
    assert run("eval", "E8=docs.parquet", *judged, *PROFILE) == 0
    capsys.readouterr()
    assert run("search", "queries.parquet", "--store", "memories", "-k", "1") == 0
    found = [json.loads(line)["hits"][0]["id"] for line in capsys.readouterr().out.splitlines()]
    assert found == IDS[:3]
    assert run("search", "queries.parquet", "--store", "memories", "--where", '{"lang": "en"}') == 0
    hits = json.loads(capsys.readouterr().out.splitlines()[1])["hits"]
    assert IDS[1] not in [one["id"] for one in hits]


def test_metadata_needs_a_store(capsys):
    shards = ("--out", "shards", *PROFILE)
    assert run("encode", "E8=docs.parquet", *shards) == 0
    assert run("encode", "E8=docs.parquet", "--metadata", "lang", *shards) == 2
    assert "--store" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--ids", "id"), "--ids id: the inputs have key, E1, E8, lang"),
        (("--metadata", "year"), "--metadata year: the inputs have"),
    ],
)
def test_a_column_that_is_not_there_is_told(capsys, arguments, told):
    assert run("encode", "E8=docs.parquet", *arguments, "--store", "memories", *PROFILE) == 2
    assert told in capsys.readouterr().err
