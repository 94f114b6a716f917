"""The licences of everything that a painter uses: Python packages and models."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

from .api.weights import BIREFNET, ORBITPAINTER, SEGMENTATION, TRELLIS2, WeightsSpec

MODELS_OF = {
    "draft": (BIREFNET, SEGMENTATION),
    "orbitpainter": (ORBITPAINTER, BIREFNET, TRELLIS2),
    "trellis2": (TRELLIS2, BIREFNET, SEGMENTATION),
}
"""By painter the models that it uses where they are installed: BiRefNet and Segment Anything, a part of
OrbitPainter's, find the object for all, TRELLIS.2 refines."""

_NON_COMMERCIAL = re.compile(
    r"non.?commercial|\bnc\b|-nc-|research.only|academic|evaluation|proprietary", re.IGNORECASE
)


@dataclass(frozen=True)
class Licence:
    """What one thing is licensed under.

    Attributes:
        name: of a package with its version, or of a repository of weights.
        licence: identifier or name.
        terms: a sentence on what it asks, "" for a package.
        model: title of the model that it is part of, "" for a package.
    """

    name: str
    licence: str
    terms: str = ""
    model: str = ""

    @property
    def forbids_commerce(self) -> bool:
        """Whether it says that it is not for commercial use; also where it says nothing."""
        return not self.licence or bool(_NON_COMMERCIAL.search(f"{self.licence} {self.terms}"))


def list_packages() -> list[Licence]:
    """The Python packages of this environment, by name."""
    found = {dist.metadata["Name"].lower(): dist for dist in metadata.distributions()}
    return [
        Licence(f"{name} {found[name].version}", _package_licence(found[name].metadata))
        for name in sorted(found)
    ]


def list_weights(models: Iterable[WeightsSpec]) -> list[Licence]:
    """The repositories that models are made from."""
    return [
        Licence(source.repository, source.license, source.terms, spec.title)
        for spec in models
        for source in spec.sources
    ]


def _package_licence(data: metadata.PackageMetadata) -> str:
    """A package's SPDX expression, else its classifiers, else the first line of its licence."""
    classifiers = [
        entry.rpartition(" :: ")[2]
        for entry in data.get_all("Classifier") or ()
        if entry.startswith("License")
    ]
    text = (data.get("License") or "").strip().partition("\n")[0]
    return data.get("License-Expression") or " AND ".join(classifiers) or text
