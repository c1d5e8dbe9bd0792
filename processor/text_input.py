"""Decodes text of files and environment variables, whatever the editor, shell or locale."""

import codecs

MARK = "\ufeff"  # the byte order mark that some editors and .NET write
_BY_MARK = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),  # PowerShell's `>`
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_text(raw: bytes) -> str:
    """Decode a file as UTF-8, or as its byte order mark says; else UnicodeDecodeError."""
    encoding = next((name for mark, name in _BY_MARK if raw.startswith(mark)), "utf-8")
    return raw.decode(encoding).removeprefix(MARK)


def decode_system_text(text: str) -> str:
    """Decode an argument or variable as UTF-8, even if the locale has another encoding.

    Text that is not UTF-8 is returned unchanged, with lone surrogates.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8").removeprefix(MARK)
    except UnicodeError:
        return text
