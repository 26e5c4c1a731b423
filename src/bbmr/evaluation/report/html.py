"""A report as one HTML file that needs nothing beside it: pictures and plots lie inside."""

import re
from base64 import b64encode

from bbmr.evaluation.report.document import Document
from bbmr.evaluation.report.figures import Figure
from bbmr.extras import from_extra

_TEMPLATE = "report.html.j2"
_TAG = re.compile(r"<[^>]*>")  # words between tags may look like ids, and stay
_REFERENCE = re.compile(r'\bid="|url\(#|href="#')


def to_html(document: Document) -> str:
    """Raises BbmrError where the extra `evaluate` is not installed."""
    with from_extra("evaluate"):
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  # an extra
        from markupsafe import Markup  # noqa: PLC0415  # comes with it

    def inline_svg(svg: str, name: str) -> Markup:
        """Ids made different from those of other plots on the page."""
        inner = svg[svg.index("<svg") :]
        return Markup(_TAG.sub(lambda tag: _REFERENCE.sub(rf"\g<0>{name}-", tag[0]), inner))  # drawn by `plots`

    environment = Environment(
        loader=PackageLoader("bbmr.evaluation.report", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"inline_svg": inline_svg, "data_url": _data_url}
    return environment.get_template(_TEMPLATE).render(document=document)


def _data_url(figure: Figure) -> str:
    return f"data:image/png;base64,{b64encode(figure.png()).decode()}"
