"""Plots tell their curves apart by more than colour, and whose codes they are."""

from types import SimpleNamespace

from cgcython.cli import plots


def row(family, num_bytes, training="mixed"):
    return SimpleNamespace(family=family, bytes_each=num_bytes, training=training)


def test_codes_of_faiss_are_dashed_and_ours_are_not():
    styles = plots._styles(["rq8", "faiss PQ", "scalar", "faiss OPQ"])
    dashed = [name for name, style in styles.items() if style["linestyle"] == "--"]
    assert dashed == ["faiss PQ", "faiss OPQ"]
    for group in (["rq8", "scalar"], dashed):
        assert len({styles[name]["marker"] for name in group}) == 2


def test_a_curve_has_the_sizes_of_a_family_in_order_and_one_training():
    sizes = [row("scalar", 386, None), row("scalar", 98, None), row("PQ", 64), row("PQ", 8)]
    curves = plots._curves([*sizes, row("PQ", 8, "in-domain")])
    found = {name: [one.bytes_each for one in group] for name, group in curves.items()}
    assert list(found.items()) == [("scalar", [98, 386]), ("PQ", [8, 64])]
    assert all(one.training == "mixed" for one in curves["PQ"])


def test_ticks_that_would_touch_are_left_out():
    assert plots._apart([48, 50, 56, 64, 96]) == [48, 64, 96]
