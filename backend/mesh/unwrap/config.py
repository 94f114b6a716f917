"""What the unwrapping is tuned by; measured by ``benchmarks/unwrap.py``."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UnwrapConfig:
    """First charts, how well a chart has to lie flat, and which charts are joined."""

    max_charts: int = 320
    """First charts of a mesh at most: fewer leave less to join, more lie flatter."""

    chart_faces: int = 60
    """Triangles per first chart where that makes fewer charts."""

    split_factor: int = 4
    """A chart that does not lie well is grown again as this many; those that still do not, as its square, and
    so on."""

    growths: int = 4
    """Times that charts grow: their middles and normals settle soon."""

    bending_cost: float = 2.0
    """Cost of the squared difference of unit normals, in areas of a mean chart, beside the squared
    distance."""

    min_cosine: float = 0.4
    """Between the normals of a chart and of a triangle that it grows over: seen from the chart's front no
    triangle is turned away."""

    smoothings: int = 4
    """Times that borders are straightened: every tooth of them would make seams longer."""

    flatten_steps: int = 5
    """Local and global steps of a flattening: they bring most of what there is to gain."""

    max_l2_stretch: float = 1.002
    """L2 stretch up to which a chart lies well; 1 is an isometry."""

    max_compression: float = 1.2
    """Factor by which the worst triangle of a chart that lies well may be compressed along a direction."""

    overlap_grid: int = 256
    """Texels along the raster in which a chart must not overlap itself."""

    min_shared_border: float = 0.15
    """Fraction of the shorter outline that two charts must share to be joined, sharp edges counted less:
    charts joined at a neck waste the square."""

    max_joined_size: float = 0.6
    """Longer side of a joined chart over the side of the square that the whole surface would fill."""

    max_growth: float = 1.1
    """A joined chart may also be this many times as long as one of the two: strips side by side may become
    one chart however long they are."""

    max_border_gap: float = 0.25
    """Gap between two borders that are laid on each other, over their size, above which flattening is not
    tried."""

    max_border_overlap: float = 0.03
    """Fraction of two charts laid border to border that may overlap; above it flattening is not tried."""

    max_unions: int = 20_000
    """Pairs of charts that are tried, about; meshes that bend well need a few hundred."""

    packing_cells: int = 512
    """Cells along the grid on which places are searched."""

    fine_packing_cells: int = 768
    """The same for many charts: rounding to whole cells wastes more on small charts."""

    many_charts: int = 64
    """Charts from which the fine grid is used."""

    filled: float = 0.65
    """Fraction of the square that charts are expected to fill."""

    max_packing_tests: float = 5e8
    """Cells under all charts times charts, about the places that xatlas tests, above which charts are packed
    in rows: it would take many seconds, and waste more of the square."""

    turns: int = 32
    """Angles over a quarter turn among which the smallest bounding box is sought."""


DEFAULT_UNWRAP_CONFIG = UnwrapConfig()
