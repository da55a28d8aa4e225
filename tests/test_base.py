"""The vocabulary: thirteen embedders, five methods, profiles as data."""

import pickle

import pytest

from cgcython.base import (
    DEFAULT_PROFILE,
    Embedder,
    ModelId,
    OwnEmbedder,
    Profile,
    QuantizationMethod,
)
from cgcython.errors import InvalidInput

PQ8, FLOAT8, BINARY, SPARSE, TOKENS, RQ8, SCALAR = (
    QuantizationMethod(value)
    for value in "pq8 float8_e4m3 binary sparse_native token_pruning rq8 scalar".split()
)
TABLE = (
    ("E1", "SEMANTIC", 1024, PQ8),
    ("E2", "TEMPORAL_RECENT", 512, FLOAT8),
    ("E3", "TEMPORAL_PERIODIC", 512, FLOAT8),
    ("E4", "TEMPORAL_POSITIONAL", 512, FLOAT8),
    ("E5", "CAUSAL", 768, PQ8),
    ("E6", "SPARSE", 30522, SPARSE),
    ("E7", "CODE", 1536, PQ8),
    ("E8", "GRAPH", 384, FLOAT8),
    ("E9", "HDC", 1024, BINARY),
    ("E10", "MULTIMODAL", 768, PQ8),
    ("E11", "ENTITY", 384, FLOAT8),
    ("E12", "LATE_INTERACTION", 128, TOKENS),
    ("E13", "SPLADE", 30522, SPARSE),
)


@pytest.mark.parametrize(("number", "row"), list(enumerate(TABLE)))
def test_the_thirteen_are_those_of_the_specification(number, row):
    short, name, dimension, method = row
    model_id = ModelId(number)
    assert (model_id.short, model_id.name) == (short, name)
    assert model_id.dimension() == dimension
    assert QuantizationMethod.for_embedder(model_id) is method


def test_there_are_no_more_than_thirteen():
    assert [one.name for one in ModelId] == [name for _, name, *_ in TABLE]


@pytest.mark.parametrize(
    "name", ["E2", "e2", "E2_TemporalRecent", "TemporalRecent", "temporal_recent", 1, ModelId(1)]
)
def test_parses_every_spelling_of_a_name(name):
    assert ModelId.parse(name) is ModelId.TEMPORAL_RECENT


@pytest.mark.parametrize("name", ["E14", "E0", "", "hdc9", None, 13, -1, 1.5, [1], b"E1"])
def test_refuses_what_names_no_embedder(name):
    with pytest.raises(InvalidInput, match="expected E1 to E13 or a name"):
        ModelId.parse(name)


def test_methods_have_the_nominal_ratios_and_limits():
    ratios = {method: method.compression_ratio() for method in QuantizationMethod}
    limits = {method: method.max_recall_loss() for method in QuantizationMethod}
    assert ratios == {PQ8: 32, FLOAT8: 4, BINARY: 32, SPARSE: 1, TOKENS: 2, RQ8: 32, SCALAR: 4}
    for method, most in {SCALAR: 0.003, RQ8: 0.05}.items():
        assert limits.pop(method) == most
    assert limits == {PQ8: 0.05, FLOAT8: 0.003, BINARY: 0.10, SPARSE: 0, TOKENS: 0.02}


def test_a_method_is_found_by_any_name_of_its_embedder():
    assert QuantizationMethod.for_embedder("E9") is QuantizationMethod.BINARY


def test_a_second_profile_is_another_table():
    assert ModelId.GRAPH.dimension("contextgraph-2026") == 1024
    assert ModelId.ENTITY.dimension("contextgraph-2026") == 768
    assert ModelId.CODE.dimension("contextgraph-2026") == 1536


def test_a_profile_may_be_a_file_of_the_user(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('E1 = { dimension = 384, method = "pq8" }')
    assert ModelId.SEMANTIC.dimension(path) == 384
    path.write_text('E1 = { dimension = 386, method = "pq8" }')
    assert ModelId.SEMANTIC.dimension(str(path)) == 386


def test_a_profile_holds_only_its_own_embedders():
    profile = Profile.from_toml('E9 = { dimension = 64, method = "binary" }')
    assert dict(profile) == {ModelId.HDC: Embedder(ModelId.HDC, 64, BINARY)}
    assert (ModelId.CODE in profile, profile.get(ModelId.CODE)) == (False, None)
    with pytest.raises(InvalidInput, match="E7 Code") as refusal:
        profile[ModelId.CODE]
    assert "one of the profile's E9" in str(refusal.value)


def test_a_profile_shows_its_rows():
    profile = Profile.from_toml('E9 = { dimension = 64, method = "binary" }')
    assert repr(profile) == "Profile(E9 binary 64)"
    assert repr(Profile.named()) == (
        "Profile(E1 pq8 1024, E2 float8_e4m3 512, ..., E13 sparse_native 30522)"
    )


def test_a_profile_cannot_be_changed_under_its_users():
    with pytest.raises(TypeError):
        Profile.named()[ModelId.HDC] = None


@pytest.mark.parametrize("name", [DEFAULT_PROFILE, "contextgraph-2026"])
def test_a_profile_survives_its_own_text(name):
    profile = Profile.named(name)
    assert dict(Profile.from_toml(profile.to_toml())) == dict(profile)
    assert Profile.named(profile) is profile


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("E1 = {", "TOML"),
        ("", "lines such as E1"),
        ('E1 = { dimension = 8, method = "pq8" }\nSemantic = { dimension = 9, method = "pq8" }',
         "a line per embedder"),
        ('"-minilm" = { dimension = 8, method = "pq8" }', "no sign first"),
        ('E1 = { dimension = 0, method = "pq8" }', "E1.dimension: expected 1 to"),
        ('E1 = { dimension = true, method = "pq8" }', "E1.dimension: expected 1 to"),
        ('E1 = { dimension = 8, method = "float32" }', "pq8, float8_e4m3"),
        ("E1 = { dimension = 8, method = [] }", "pq8, float8_e4m3"),
        ("E1 = 384", "E1.row: expected a mapping"),
    ],
)  # fmt: skip
def test_a_profile_with_a_mistake_is_refused(text, expected):
    with pytest.raises(InvalidInput, match=expected):
        Profile.from_toml(text)


@pytest.mark.parametrize("name", ["none-such", "none-such.toml"])
def test_an_unknown_profile_names_the_known_ones(name):
    with pytest.raises(InvalidInput, match=r"contextgraph-2026, default or a \.toml file"):
        Profile.named(name)


def test_embedders_of_a_users_own_have_numbers_in_the_order_of_their_rows():
    profile = Profile(
        {
            "minilm": {"dimension": 384, "method": "pq8", "bytes": 48},
            "E9": {"dimension": 64, "method": "binary", "threshold": 1},
            "titles.v2": {"dimension": 8, "method": "float8_e4m3", "number": 32},
        }
    )
    assert {one.short: int(one) for one in profile} == {"minilm": 33, "E9": 8, "titles.v2": 32}
    assert profile.row("minilm").setting("bytes") == 48
    assert profile.row("Hdc").settings == (("threshold", 1.0),)
    assert profile.by_number[33] == OwnEmbedder("minilm") == "minilm"
    kept = Profile.from_toml(profile.to_toml())
    assert {one: int(one) for one in kept} == {one: int(one) for one in profile}
    assert dict(kept) == dict(profile)


def test_own_embedders_are_equal_by_name_and_order_by_number():
    a, b = OwnEmbedder("a", 40), OwnEmbedder("b", 33)
    assert sorted([a, ModelId.SPLADE, b]) == [ModelId.SPLADE, b, a]
    assert {a: 1}["a"] == 1
    assert a == OwnEmbedder("a") != b
    assert a != 40
    assert hash(a) == hash(OwnEmbedder("a"))
    assert pickle.loads(pickle.dumps(a)) == a
    assert int(pickle.loads(pickle.dumps(a))) == 40


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"a": {"dimension": 8, "method": "binary", "bytes": 4}}, "only .*threshold"),
        ({"a": {"dimension": 8, "method": "pq8", "bytes": 4, "num_subvectors": 4}}, "once"),
        ({"a b": {"dimension": 8, "method": "pq8"}}, "of a-z, A-Z, 0-9"),
        ({"a": {"dimension": 8, "method": "pq8", "number": 31}}, "32 to 254"),
        ({"a": {"dimension": 8, "method": "pq8", "number": 40},
          "b": {"dimension": 8, "method": "pq8", "number": 40}}, "a number per embedder"),
        ({f"a{i}": {"dimension": 8, "method": "binary"} for i in range(201)}, "at most 200"),
        ({"a": {"dimension": 8, "method": "token_pruning", "pruning_ratio": 0}}, "above 0"),
        ({"a": {"dimension": 8, "method": "float8_e4m3", "metric": "l3"}}, "cosine"),
    ],
)  # fmt: skip
def test_rows_with_a_mistake_are_refused(rows, expected):
    with pytest.raises(InvalidInput, match=expected):
        Profile(rows)


def test_an_unknown_name_is_told_with_the_nearest_and_the_row_to_add():
    profile = Profile({"minilm": {"dimension": 8, "method": "binary"}})
    with pytest.raises(InvalidInput, match="the nearest is minilm") as refusal:
        profile.embedder("minlm")
    row = 'minlm = { dimension = 384, method = "float8_e4m3" }'
    assert f"or a profile with the row {row}, got 'minlm'" in str(refusal.value)
    assert Profile.from_toml(row)["minlm"].dimension == 384


def test_a_name_of_the_thirteen_needs_no_row_to_be_one():
    profile = Profile({"minilm": {"dimension": 8, "method": "binary"}})
    assert profile.embedder("semantic") is profile.embedder(0) is ModelId.SEMANTIC
    with pytest.raises(InvalidInput, match="one of the profile's minilm"):
        profile.row("semantic")


def test_what_a_kept_text_leaves_open_is_as_it_was_before():
    text = 'E12 = { dimension = 8, method = "token_pruning" }'
    assert Profile.kept(text).row("E12").setting("pruning_ratio") == 0.5
    new = Profile.from_toml(text)
    assert new.row("E12").settings == ()
    assert dict(Profile.kept(new.to_toml())) == dict(new)
    assert Profile.kept(text).differences(new) == []


def test_the_differences_of_profiles_are_told():
    kept = Profile(
        {
            "a": {"dimension": 8, "method": "pq8", "bytes": 4},
            "b": {"dimension": 8, "method": "binary"},
        }
    )
    given = Profile(
        {"a": {"dimension": 9, "method": "pq8"}, "c": {"dimension": 8, "method": "binary"}}
    )
    assert kept.differences(kept) == []
    assert kept.differences(given) == [
        "a: dimension is 8, not 9, bytes is 4, not left out",
        "b left out",
        "c only there",
    ]


def test_a_mistaken_method_names_the_nearest():
    with pytest.raises(InvalidInput, match=r"\(did you mean float8_e4m3\?\), got float8"):
        QuantizationMethod("float8")


@pytest.mark.parametrize("settings", [3, [1.0, 2.0], "text"])
def test_settings_of_a_row_are_a_mapping(settings):
    with pytest.raises(InvalidInput, match="settings: expected a mapping"):
        Embedder("E1", 20, PQ8, settings)
