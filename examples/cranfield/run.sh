#!/bin/sh
# The main job on a small real corpus: train, encode, verify, search, evaluate.
set -eu
here=$(dirname "$0")
work=${1:-$(mktemp -d "${TMPDIR:-/tmp}/cgcython-cranfield.XXXXXX")}
memories="$here/memories.npz E9=$here/memories.npz:E1"
queries="$here/queries.npz E9=$here/queries.npz:E1"

step() { printf '\n$ cgcython %s\n' "$*"; cgcython "$@"; }

step train E1 --input "$here/train.npz" --models "$work/models" --bytes 96 --rotation pca \
    --profile "$here/profile.toml"
# shellcheck disable=SC2086
step encode $memories --models "$work/models" --store "$work/store" --profile "$here/profile.toml"
step verify "$work/store"
step inspect "$work/store"
step search "E1=$here/queries.npz" --store "$work/store" -k 3 | head -n 9
# shellcheck disable=SC2086
step eval $memories --queries $queries --qrels "$here/qrels.npy" --store "$work/store"
printf '\nmodels and store are in %s\n' "$work"
