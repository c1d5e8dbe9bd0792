"""Text from files and variables, whatever editor or shell wrote it and whatever the locale."""

import codecs

MARK = "\ufeff"  # what editors and .NET put in front of text
_BY_MARK = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),  # PowerShell's `>`
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_text(raw: bytes) -> str:
    """Decode a file as UTF-8, or as its byte order mark says; UnicodeDecodeError if it is neither."""
    encoding = next((name for mark, name in _BY_MARK if raw.startswith(mark)), "utf-8")
    return raw.decode(encoding).removeprefix(MARK)


def decode_system_text(text: str) -> str:
    """Read an argument or variable as UTF-8, which Python does not where the locale is another.

    What is no UTF-8 stays as it is: Python keeps such bytes as lone surrogates.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8").removeprefix(MARK)
    except UnicodeError:
        return text
