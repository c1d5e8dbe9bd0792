"""Decompresses responses that are compressed although we ask for `identity`, within limits."""

import zlib

from processor.errors import RequestFailed

_ENCODINGS = {  # zlib's window bits: 47 takes gzip and zlib, -15 bare deflate
    "gzip": (47,),
    "x-gzip": (47,),
    "deflate": (47, -15),
}
_GZIP = b"\x1f\x8b"  # how each member of a gzip begins
_AT_MOST = 2  # nested encodings; more is an attack
_MEMBERS_AT_MOST = 64  # of one gzip: what follows a member is copied for the next one


def decompress(body: bytes, encoding: str, limit: int) -> tuple[bytes, bool]:
    """Return at most `limit` decompressed bytes, and whether they are all; RequestFailed for an
    unknown encoding, and for a gzip of too many members.

    A body that is not really compressed is returned unchanged; a truncated one as far as possible.
    Padding behind the end, such as zeros or a line end, is left out: only a gzip has more members.
    """
    whole = True
    names = [name for part in encoding.lower().split(",") if (name := part.strip())]
    for name in reversed([name for name in names if name != "identity"]):
        if name not in _ENCODINGS or len(names) > _AT_MOST:
            raise RequestFailed(
                f"the answer is compressed ({encoding[:40]!r}), though we ask for `identity`; "
                "have the server, or the proxy before it, send it plain or as gzip"
            )
        body, ended = _inflated(body, _ENCODINGS[name], limit)
        whole = whole and ended
    return body[:limit], whole and len(body) <= limit


def _inflated(body: bytes, ways: tuple[int, ...], limit: int) -> tuple[bytes, bool]:
    for bits in ways:
        found, ended = b"", False
        try:
            left, members = body, 0
            while left and len(found) < limit:  # gzip may have several members
                if members and not left.startswith(_GZIP):
                    break  # padding
                members += 1
                if members > _MEMBERS_AT_MOST:
                    raise RequestFailed(
                        f"the answer is compressed in more than {_MEMBERS_AT_MOST} parts; "
                        "have the server send it plain, or as one gzip"
                    )
                stream = zlib.decompressobj(bits)
                found += stream.decompress(left, limit - len(found))
                ended = stream.eof
                left = stream.unused_data if stream.eof else b""
        except zlib.error:
            ended = False
        if found or ended:
            return found, ended
    return body, True
