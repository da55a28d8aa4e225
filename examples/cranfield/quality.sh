#!/bin/sh
# The figures of docs/QUALITY.md, on the whole data: sh examples/cranfield/quality.sh DATA [WORK]
set -eu
here=$(dirname "$0")
data=$1
work=${2:-$(mktemp -d "${TMPDIR:-/tmp}/cgcython-quality.XXXXXX")}
pooled="$data/pooled_cranfield.npz" bm25="$data/sparse_cranfield.npz"
tokens="$data/tokens_cranfield.npz"
profile="$here/profile.toml"

step() { printf '\n$ cgcython %s\n' "$*"; cgcython "$@"; }

for bytes in 8 16 32 64 96 128; do
    step train E1 --input "E1=$data/train.npz:t384" --models "$work/$bytes" --bytes "$bytes" \
        --profile "$profile" --force
    step eval "E1=$pooled:docs384" --queries "E1=$pooled:queries384" --qrels "$pooled:qrels" \
        --models "$work/$bytes" --profile "$profile"
done
for embedder in E8 E9; do
    step eval "$embedder=$pooled:docs384" --queries "$embedder=$pooled:queries384" \
        --qrels "$pooled:qrels" --profile "$profile"
done
step eval "E6=$bm25:d_indptr,d_idx,d_w" --queries "E6=$bm25:q_indptr,q_idx,q_w" \
    --qrels "$bm25:qrels" --metric dot
step eval "E12=$tokens:doc_tok,doc_off" --queries "E12=$tokens:q_tok,q_off" \
    --qrels "$tokens:qrels"
step eval tokens "E12=$tokens:doc_tok,doc_off" --queries "E12=$tokens:q_tok,q_off" \
    --qrels "$tokens:qrels" --attention "$tokens:doc_attn" --norms "$tokens:doc_norm" --limits
