"""Commands read their inputs over the real S3 protocol as they read them from files."""

import io
import json

import numpy as np
import pytest
from safetensors.numpy import save as save_tensors

from cgcython.cli import main

pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")
pytestmark = pytest.mark.cluster
ROWS = 300
PROFILE = """
E1 = { dimension = 16, method = "pq8" }
E6 = { dimension = 400, method = "sparse_native" }
E9 = { dimension = 20, method = "binary" }
E12 = { dimension = 8, method = "token_pruning" }
"""


@pytest.fixture(scope="module")
def bucket():
    """Return a file system of a server of S3 on this machine, with a bucket of that name."""
    import s3fs

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        files = s3fs.S3FileSystem()
        files.mkdir("bucket")
        yield files
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture(scope="module")
def work(bucket, tmp_path_factory):
    """Return a folder with inputs and a codebook; the inputs are in the bucket too."""
    folder = tmp_path_factory.mktemp("s3")
    rng = np.random.default_rng(7)
    nnz, tokens = rng.integers(1, 20, ROWS), rng.integers(1, 6, ROWS // 2)
    arrays = {
        "E6.indptr": np.cumsum([0, *nnz]),
        "E6.indices": np.concatenate([np.sort(rng.permutation(400)[:n]) for n in nnz]),
        "E6.weights": rng.uniform(0.1, 2, nnz.sum()).astype(np.float32),
        "E9": rng.standard_normal((ROWS, 20), dtype=np.float32),
        "E12.values": rng.standard_normal((tokens.sum(), 8), dtype=np.float32),
        "E12.offsets": np.cumsum([0, *tokens]),
        "E12.rows": np.arange(0, ROWS, 2),
        "ids": rng.integers(0, 256, (ROWS, 16), np.uint8),
    }
    file = io.BytesIO()
    np.save(file, rng.standard_normal((ROWS, 16), dtype=np.float32))
    contents = {"a.npy": file.getvalue(), "b.safetensors": save_tensors(arrays)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        bucket.pipe(f"bucket/{name}", content)
    (folder / "profile.toml").write_text(PROFILE)
    train = ["train", "E1", "--input", f"{folder}/a.npy", "--models", f"{folder}/models"]
    assert main([*train, *common(folder)]) == 0
    return folder


def common(folder):
    return ["--profile", f"{folder}/profile.toml"]


def inputs(where):
    return [f"E1={where}/a.npy", f"{where}/b.safetensors"]


def contents_of(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_encoded_from_s3_has_the_bytes_of_a_local_one(work, capsys):
    threads = ["--scheduler", "threads", "--workers", "2"]
    runs = {"local": (work, []), "remote": ("s3://bucket", []), "workers": ("s3://bucket", threads)}
    for name, (where, more) in runs.items():
        words = ["encode", *inputs(where), "--out", f"{work}/{name}", "--shard-size", "64", *more]
        assert main([*words, "--models", f"{work}/models", *common(work)]) == 0, capsys.readouterr()
    local, remote, workers = (contents_of(work / name) for name in runs)
    assert len([name for name in local if name.startswith("shard-")]) == 5
    assert "manifest.json" in local
    assert remote == local == workers


def test_codebooks_train_on_rows_in_s3(work):
    words = ["train", "E1", "--input", "s3://bucket/a.npy", "--models", f"{work}/other"]
    assert main([*words, *common(work)]) == 0
    book = "pq8_codebooks/Semantic_codebook.safetensors"
    assert (work / "other" / book).read_bytes() == (work / "models" / book).read_bytes()


def test_queries_and_judged_corpora_may_lie_in_s3(bucket, work, capsys):
    words = ["encode", *inputs(work), "--store", f"{work}/store", "--models", f"{work}/models"]
    assert main([*words, *common(work)]) == 0
    file = io.BytesIO()
    np.save(file, np.stack([np.arange(ROWS)] * 2 + [np.ones(ROWS, int)], axis=1))
    bucket.pipe("bucket/qrels.npy", file.getvalue())
    answers = []
    for where in ("s3://bucket", work):
        capsys.readouterr()
        words = ["search", *inputs(where), "--store", f"{work}/store", "-k", "2", "--json"]
        assert main(words) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]
    words = ["eval", *inputs("s3://bucket"), "--queries", *inputs("s3://bucket")]
    words += ["--qrels", "s3://bucket/qrels.npy"]
    assert main([*words, "--models", f"{work}/models", "--json", *common(work)]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) > 1


def test_what_is_not_there_and_what_may_not_be_read_is_named(work, monkeypatch, capsys):
    words = ["encode", "E1=s3://bucket/none.npy", "--out", f"{work}/none", *common(work)]
    assert main(words) == 3
    assert "s3://bucket/none.npy: there is no such object; pass another" in capsys.readouterr().err
