"""Render report pages: self-contained files for desktop and phone, light and dark."""

import base64
from pathlib import Path
from typing import Any

import yaml

from pipelines.reporting.number_format import percent, tie
from pipelines.runs import rerun_command


def of_run(template: str, results: dict[str, Any], **context: Any) -> str:
    """Renders the page of a run's results, with its options and the command that repeats it."""
    config = results["config"]
    return render(
        template,
        results=results,
        command=rerun_command.command_line(
            results["command"], config, between=rerun_command.NEXT_LINE
        ),
        config=yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
        **context,
    )


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


def plot(drawn: bytes) -> dict[str, Any]:
    """Returns a plot, as PNG, for `plot` of `templates/parts.html.j2`."""
    width = int.from_bytes(drawn[16:20], "big") * 2 // 3  # of the PNG header
    return {"uri": data_uri(drawn), "width": width}
