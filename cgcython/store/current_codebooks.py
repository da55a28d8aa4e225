"""The codebooks that a store encodes with."""

from collections.abc import Callable, Mapping

from cgcython.base import EmbedderId, Profile
from cgcython.codecs.codebook_base import Codebook
from cgcython.embedders.codebooks import Codebooks


class CurrentCodebooks(Codebooks):
    """The codebooks that encode; what is wrong with one is raised where it is needed."""

    def __init__(
        self,
        source: Mapping[EmbedderId, Codebook],
        profile: Profile,
        newest: Callable[[EmbedderId], Codebook | None],
    ) -> None:
        super().__init__(source, profile)
        self._newest = newest

    def _load(self, model_id: EmbedderId) -> Codebook:
        return self._newest(model_id) or super()._load(model_id)
