"""Render report pages: self-contained files for desktop and phone, light and dark."""

import base64
from pathlib import Path
from typing import Any

from pipelines.reporting import figure as reporting_figure
from pipelines.reporting.number_format import percent, tie


def render(template: str, **context: Any) -> str:
    """Renders a template of `templates/`, escaping all values."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "tie": tie, "count": "{:,}".format}
    return environment.get_template(template).render(context)


def data_uri(data: bytes, kind: str = "png") -> str:
    """Returns an image as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def both_themes(draw: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
    """Returns a plot for light and dark pages as data URIs."""
    light, dark = (
        draw(*arguments, t, **options) for t in (reporting_figure.LIGHT, reporting_figure.DARK)
    )
    width = int.from_bytes(light[16:20], "big") * 2 // 3  # of the PNG header
    return {"light": data_uri(light), "dark": data_uri(dark), "width": width}
