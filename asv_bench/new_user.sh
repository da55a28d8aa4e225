#!/usr/bin/env bash
# Times a new user: from a clone to the first result with two embedders of their own.
#
#   asv_bench/new_user.sh [REPOSITORY]     by default the one that holds this script
#
# Everything is done as the README says, in a folder and an environment that are made for it.
set -euo pipefail

repository=${1:-$(git -C "$(dirname "$0")" rev-parse --show-toplevel)}
work=$(mktemp -d "${TMPDIR:-/tmp}/cgcython-new-user.XXXXXX")
trap 'rm -rf "$work"' EXIT
export PYTHONPATH='' PIP_DISABLE_PIP_VERSION_CHECK=1

told() {
    printf '%4d s  %s\n' "$SECONDS" "$1"
}

git clone -q "$repository" "$work/cgcython"
"${PYTHON:-python3}" -m venv "$work/venv"
# shellcheck disable=SC1091
. "$work/venv/bin/activate"
told 'cloned'
pip install -q "$work/cgcython[store,arrow]"
told 'installed'

cd "$work"
printf '%s\n' 'title = { dimension = 64, method = "binary" }' \
    'body = { dimension = 384, method = "float8_e4m3" }' >profile.toml
python - <<'END'
import numpy as np, pyarrow as pa, pyarrow.parquet as pq

rng = np.random.default_rng(0)
titles, bodies = rng.standard_normal((500, 64)), rng.standard_normal((500, 384))
columns = {
    "id": [f"doc-{row}" for row in range(500)],
    "title": list(titles),
    "body": list(bodies),
    "year": [2000 + row % 25 for row in range(500)],
}
pq.write_table(pa.table(columns), "docs.parquet")
np.save("queries.npy", bodies[5:7])
END
told 'has embeddings'
cgcython encode title=docs.parquet body=docs.parquet --ids id --profile profile.toml --store library
cgcython search body=queries.npy --store library -k 3 --where '{"year": {"$gte": 2005}}' --metadata
told 'has a result'
