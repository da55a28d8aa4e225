#!/bin/sh
# The figures of docs/QUALITY.md, on the whole data: [SEEDS=5] sh examples/cranfield/quality.sh DATA [PLOT]
# Trains 430 codebooks; SEEDS=1 trains 90. PEERS=1 trains those of faiss beside them, which takes longer.
# Exits with 1 where a limit is missed.
set -eu
data=$1 plot=${2:-methods.svg} missed=0
pooled="$data/pooled_cranfield.npz" bm25="$data/sparse_cranfield.npz"
tokens="$data/tokens_cranfield.npz"

step() { printf '\n$ cgcython %s\n' "$*"; cgcython "$@" || missed=1; }

step eval methods "E8=$pooled:docs384" --queries "E8=$pooled:queries384" --qrels "$pooled:qrels" \
    --train "$data/train.npz:t384" --in-domain --seeds "${SEEDS:-5}" --plot "$plot" --limits ${PEERS:+--peers}
step eval methods "E1=$pooled:docs1152" --queries "E1=$pooled:queries1152" --qrels "$pooled:qrels" \
    --train "$data/train.npz:t1152" --seeds 1 --sizes 8,32,64,128,192 --profile "$(dirname "$0")/wide.toml"
step eval methods "E6=$bm25:d_indptr,d_idx,d_w" --queries "E6=$bm25:q_indptr,q_idx,q_w" \
    --qrels "$bm25:qrels" --metric dot --limits
step eval "E6=$bm25:d_indptr,d_idx,d_w" --queries "E6=$bm25:q_indptr,q_idx,q_w" \
    --qrels "$bm25:qrels" --metric dot --step 1
for layouts in 0 2 3 4 5; do
    step eval "E12=$tokens:doc_tok,doc_off" --queries "E12=$tokens:q_tok,q_off" \
        --qrels "$tokens:qrels" --step "$layouts"
done
step eval tokens "E12=$tokens:doc_tok,doc_off" --queries "E12=$tokens:q_tok,q_off" \
    --qrels "$tokens:qrels" --attention "$tokens:doc_attn" --norms "$tokens:doc_norm" --limits
step eval tokens "E12=$tokens:doc_tok,doc_off" --queries "E12=$tokens:q_tok,q_off" \
    --qrels "$tokens:qrels" --tokens 32 --limits
exit "$missed"
