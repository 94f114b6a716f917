"""A take's report as text."""

from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_rpt as rpt_

from ...backend.api.stage_names import name_stage
from .. import setting_texts

_DIGITS = 6
"""Digits of the numbers in a report: more mean nothing."""

_EXACT = ("origin", "settings")
"""Parts of a report from which its texture can be made again."""


def round_report(value: object) -> object:
    """A report, or a part of it, as JSON data with numbers of at most :data:`_DIGITS` digits; what is needed
    to make the texture again is exact."""
    if isinstance(value, dict):
        return {key: part if key in _EXACT else round_report(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [round_report(part) for part in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def describe_report(report: dict) -> list[str]:
    """The lines to show for a report, the most important first; missing values are left out."""
    lines = []
    if "coverage" in report:
        lines.append(
            rpt_("The painted views saw {:.0%} of the texture; the rest is filled in from nearby").format(
                report["coverage"]
            )
        )
    if view := report.get("view"):
        lines.append(
            rpt_("The reference shows azimuth {:.0f}°, elevation {:.0f}°").format(
                view["azimuth"], view["elevation"]
            )
        )
    if "views" in report:
        lines.append(rpt_("{:,} triangles in {} views").format(report["triangles"], report["views"]))
    if seconds := report.get("seconds"):
        parts = ", ".join(f"{iface_(name_stage(stage))} {value:.1f}" for stage, value in seconds.items())
        lines.append(rpt_("{:.0f} s: {}").format(sum(seconds.values()), parts))
    if settings := report.get("settings"):
        painter, _ = setting_texts.CHOICES["painter"].get(settings["painter"], (settings["painter"], ""))
        text = rpt_("Painter {}, texture {}, seed {}")
        lines.append(text.format(iface_(painter), settings["texture_size"], settings["seed"]))
    if report.get("mesh") == "untouched":
        lines.append(rpt_("Mesh untouched"))
    return lines + report.get("notes", [])
