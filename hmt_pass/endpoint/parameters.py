"""The parameters of a call, out of the query string and a multipart or urlencoded body (API text, section 2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from python_multipart import create_form_parser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File

from hmt_pass.codes import Code
from hmt_pass.endpoint import extension
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.extension import Extension
from hmt_pass.permit import Flag

MAX_BODY_BYTES = 24 * 1024 * 1024
"""Above any allowed call: 5 MB in base64 with every other character escaped is 21 MB."""

_SOURCES = ("image_id", "file", "image_base64", "url")  # in the API text's order of precedence
_MAX_FIELDS = 64
_URLENCODED = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Parameters:
    """A call's parameters: texts by their wire name, and the bytes of `file`; None when no file was sent."""

    texts: Mapping[str, str] = field(repr=False)
    file: bytes | None = field(repr=False, default=None)

    def get(self, name: str) -> str:
        """The text of a parameter, empty when it was not sent."""
        return self.texts.get(name, "")

    def require(self, name: str) -> str:
        """The text of a parameter that a call cannot do without. Raises RefusedError 1002."""
        if not self.get(name):
            raise RefusedError(Code.BAD_REQUEST, f"{name} is missing")
        return self.get(name)

    @property
    def source(self) -> str:
        """The name of the parameter that brings the image, "" when there is none."""
        sent = (name for name in _SOURCES if self.get(name) or (name == "file" and self.file is not None))
        return next(sent, "")

    def require_source(self) -> str:
        """`source`. Raises RefusedError 1002 when there is none."""
        if not self.source:
            raise RefusedError(Code.BAD_REQUEST, f"one of {', '.join(_SOURCES)} is required")
        return self.source

    @property
    def flag(self) -> Flag:
        """`hmt_flag`, 0 when it was not sent. Raises RefusedError 1002 for anything but 0, 1, 2, 3."""
        text = self.get("hmt_flag") or "0"
        if text not in {str(int(flag)) for flag in Flag}:
            raise RefusedError(Code.BAD_REQUEST, "hmt_flag must be 0, 1, 2 or 3")
        return Flag(int(text))

    @property
    def extension(self) -> Extension | None:
        """What to say beyond the paid service; None when it was not asked for. Raises RefusedError 1002."""
        text = self.get(extension.PARAMETER)
        if text and text not in set(Extension):
            raise RefusedError(Code.BAD_REQUEST, f"{extension.PARAMETER} must be {' or '.join(Extension)}")
        return Extension(text) if text else None


def parse(query: bytes, content_type: str, body: bytes) -> Parameters:
    """The parameters of a request; the body's win over the query string's, the last of a name wins.

    Raises RefusedError: 1001 for a text that is not UTF-8, 1002 for a body that its content type does not describe.
    """
    try:
        texts = _pairs(query)
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            return _multipart(texts, content_type, body)
        if kind in {_URLENCODED, ""}:
            return Parameters(texts | _pairs(body))
    except UnicodeDecodeError:
        raise RefusedError(Code.NOT_UTF8) from None
    except (FormParserError, ValueError):
        raise RefusedError(Code.BAD_REQUEST, "the body cannot be parsed as its Content-Type says") from None
    raise RefusedError(Code.BAD_REQUEST, f"Content-Type must be multipart/form-data or {_URLENCODED}")


def _pairs(encoded: bytes) -> dict[str, str]:
    decoded = encoded.decode("utf-8")
    return dict(parse_qsl(decoded, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS))


def _multipart(texts: dict[str, str], content_type: str, body: bytes) -> Parameters:
    fields: dict[str, bytes] = {}
    files: dict[str, bytes] = {}

    def on_field(part: Field) -> None:
        fields[_name(part)] = part.value or b""

    def on_file(part: File) -> None:
        part.file_object.seek(0)
        files[_name(part)] = part.file_object.read()

    # A file stays in memory however large: a photo of an identity paper has no business in a temporary folder.
    config = {"MAX_MEMORY_FILE_SIZE": MAX_BODY_BYTES, "MAX_FIELDS": _MAX_FIELDS}
    parser = create_form_parser({"Content-Type": content_type.encode("latin-1")}, on_field, on_file, config)
    parser.write(body)
    parser.finalize()
    # A file part without a file name is a field on the wire; a text parameter sent as a file is still its text.
    raw = {name: value for name, value in (files | fields).items() if name != "file"}
    decoded = {name: value.decode("utf-8") for name, value in raw.items()}
    return Parameters(texts | decoded, files.get("file", fields.get("file")))


def _name(part: Field | File) -> str:
    return (part.field_name or b"").decode("utf-8")
