"""Completes what errors recommend with what the user gave, so that it works when it is pasted."""

import argparse
import os
import shlex
from collections.abc import Sequence

from cgcython.corpus.specs import Spec
from cgcython.errors import CodebookMissing

MODELS = "models"  # where codebooks go when the user named no folder


def mend(error: Exception, args: argparse.Namespace) -> None:
    """Make the command that an error recommends the user's own: inputs, folders, profile."""
    if not isinstance(error, CodebookMissing) or error.command is None:
        return
    embedder = error.command.split()[2]
    given = vars(args)
    models = given.get("models")
    words = ["cgcython", "train", embedder, "--input", _input(embedder, given.get("inputs") or [])]
    words += ["--models", models or MODELS]
    store = given.get("store")
    profile = given.get("profile_text") or (store if store and _has_profile(store) else None)
    words += ["--profile", profile] if profile else []
    error.command = shlex.join(words)
    if models is None and "models" in given:
        error.add_note(f"and run this again with: --models {MODELS}")


def _has_profile(store: str) -> bool:
    from cgcython.store.places import is_address  # needs kernels, which an error may be about

    return is_address(store) or os.path.isdir(store)


def _input(embedder: str, inputs: Sequence[str]) -> str:
    """Return the input of a command that has the embedder, or a name for one."""
    for text in inputs:
        spec = Spec.parse(text)
        if getattr(spec.target, "short", None) == embedder:
            return text
    whole = (text for text in inputs if Spec.parse(text).target is None)
    return f"{embedder}={next(whole, 'train.npy')}"
