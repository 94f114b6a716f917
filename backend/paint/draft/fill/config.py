"""The tuned numbers of the fill, one dataclass per module and one over all of them."""

from dataclasses import dataclass, field

from .exemplar import ExemplarConfig
from .guides import GuideConfig
from .orientation_field import OrientationConfig
from .revolution import RevolutionConfig
from .rotational_prior import RingConfig
from .samples import SamplingConfig
from .seam_prior import SeamConfig
from .turning_prior import TurningConfig


@dataclass(frozen=True)
class LevelConfig:
    """Tuned numbers of one resolution level. Costs are against 1 for a patch of random colours."""

    cells: int
    """Samples along the longest side of the mesh."""

    rounds: int
    """Rounds of search and vote."""

    guide_strength: float
    """Weight of the guides: what is copied is decided on the coarsest level."""

    occurrence_weight: float
    """Cost of a place that is copied as often as if all were copied evenly, where the exemplar is one
    pattern. Elsewhere it costs nothing: the back of a head needs no face, however little of the hair is
    visible."""

    lettering_occurrence: float = 1.0
    """Factor of that cost where the exemplar is lettering."""


@dataclass(frozen=True)
class SynthesisConfig:
    """Tuned numbers of the synthesis. Costs are against 1 for a patch of random colours."""

    levels: tuple[LevelConfig, ...] = (
        # Plain squares of a chequerboard are easier to copy than their borders, and half as dear they would
        # cover whole sides; twice as dear, stripes break. The ground between letters needs the factor.
        LevelConfig(60, 8, guide_strength=1.0, occurrence_weight=0.09, lettering_occurrence=2.7),
        LevelConfig(110, 8, guide_strength=0.6, occurrence_weight=0.16),
        LevelConfig(180, 5, guide_strength=0.35, occurrence_weight=0.02),
    )
    """Resolution levels, coarse to fine; two at least."""

    max_samples: int = 220_000
    """Samples of a level, about: those of a cube on the finest. Foliage, with many times its surface, would
    take minutes and gigabytes."""

    min_samples: int = 50
    """Samples, and usable pixels, without which there is nothing to paint or nothing to copy."""

    known_trust: float = 0.5
    """Trust 0..1 in a known colour above which a sample is not painted."""

    painted_trust: float = 0.7
    """Weight of a painted sample in its neighbours' patches, against 1 for a known one."""

    front_step: float = 1.5
    """Spacings by which the paint first advances over the hidden surface, away from what is known."""

    front_depth: int = 4
    """Advances after which a sample is no longer repainted."""

    front_rounds: int = 2
    """Rounds of search and vote per advance."""

    guide_samples: int = 5000
    """Known samples from which is measured how much the guides explain."""

    seam_cost: float = 0.5
    """Cost, as a guide, of copying from where the low-pass colour differs by one standard deviation per
    channel from that of the nearest painted surface."""

    part_cost: float = 0.5
    """Cost, as a guide, of copying from a part that has other colours altogether."""

    ring_cost: float = 0.6
    """Cost of copying from another ring around the main axis, where rings have one colour."""

    turning_cost: float = 2.0
    """The same on a surface of revolution, where that is no guess."""

    ring_width: float = 1.5
    """Spacings by which rings differ."""

    ring_fallback_cost: float = 0.2
    """Cost of a constant colour there."""

    ring_confidence: float = 0.1
    """Confidence of the rotational-symmetry prior from which on candidates come from the same ring."""

    ring_sure: float = 0.5
    """Confidence from which on a ring's own colour is the constant one."""

    lettering_direction_strength: float = 2.0
    """Strength of directions everywhere where the exemplar is lettering, against 1 on walls: it is read one
    way, on level faces too."""

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    orientation: OrientationConfig = field(default_factory=OrientationConfig)
    exemplar: ExemplarConfig = field(default_factory=ExemplarConfig)
    guides: GuideConfig = field(default_factory=GuideConfig)
    revolution: RevolutionConfig = field(default_factory=RevolutionConfig)
    turning: TurningConfig = field(default_factory=TurningConfig)
    rings: RingConfig = field(default_factory=RingConfig)
    seam: SeamConfig = field(default_factory=SeamConfig)


DEFAULT_CONFIG = SynthesisConfig()
