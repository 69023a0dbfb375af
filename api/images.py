"""Photos and signatures as answers: their bytes never change under their hash, so that browsers may keep them."""

from typing import Any, Final

from starlette.responses import Response

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}

#: What OpenAPI says of an answer that is an image.
IMAGE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "the bytes",
        "content": {f"image/{kind}": _BINARY for kind in ("jpeg", "png", "webp")},
    }
}


def image(content: bytes, media_type: str) -> Response:
    """Return an image that nobody's browser takes for anything else."""
    headers = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=media_type, headers=headers)
