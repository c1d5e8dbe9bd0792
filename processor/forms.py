"""The fields of a form, plain or multipart, as a push may carry them."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from processor.errors import Unreadable

PLAIN = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data"
FIELDS_AT_MOST = 100  # of one form; a provider sends two or three


def is_form(headers: Mapping[str, str]) -> bool:
    """Whether a body says that it is a form."""
    return _mime(headers) in (PLAIN, PARTS)


def fields(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """Give the fields of a form; of a repeated one, the first. Unreadable if it is none."""
    mime = _mime(headers)
    try:
        pairs = _plain(body) if mime == PLAIN else _parts(headers["content-type"], body)
        found: dict[str, str] = {}
        for name, value in pairs:
            found.setdefault(name, value)
    except (ValueError, KeyError, FormParserError) as error:
        raise Unreadable(f"the body is no form: {error}") from None
    return found


def _mime(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _plain(body: bytes) -> list[tuple[str, str]]:
    text = body.decode("ascii")
    return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_AT_MOST)


def _parts(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """Text parts only; a file in a form is no field of ours, and read like one."""
    _, options = parse_options_header(content_type)
    reader = _Reader()
    parser = MultipartParser(options[b"boundary"], reader.callbacks())  # type: ignore[arg-type] # its own TypedDict
    parser.write(body)
    parser.finalize()
    if not reader.ended:
        raise ValueError("it breaks off")
    return [(name, value.decode()) for name, value in reader.found]


class _Reader:
    """Gathers the parts that the parser finds."""

    def __init__(self) -> None:
        self.found: list[tuple[str, bytes]] = []
        self.ended = False
        self._header = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._data = bytearray()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_part_data": self._on_data,
            "on_part_end": self._end,
            "on_end": self._over,
        }

    def _begin(self) -> None:
        self._headers, self._data = {}, bytearray()
        if len(self.found) >= FIELDS_AT_MOST:
            raise ValueError(f"it has more than {FIELDS_AT_MOST} fields")

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def _end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self.found.append((options[b"name"].decode(), bytes(self._data)))

    def _over(self) -> None:
        self.ended = True
