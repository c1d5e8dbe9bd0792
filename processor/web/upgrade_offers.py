"""Ignores offers to switch protocols (`Upgrade: h2c`), as RFC 9110, 7.8 allows.

Java's HttpClient and `curl --http2` make them with their first request. httptools takes the end of
such a head for the end of the request, whatever its Content-Length, and would parse the body as the
next request. So the head is parsed a second time, without the offer, and then what follows it.
"""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class UpgradeOffered(Exception):
    """A head is complete, and is to be parsed again without its offer."""


class IgnoredOffersProtocol(HttpToolsProtocol):
    """uvicorn's protocol, for which no request offers to switch protocols."""

    def data_received(self, data: bytes) -> None:
        """Parse bytes: as theirs, but for the offers."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offered:
            self._read_on(memoryview(data)[offered.args[0] :])
        except httptools.HttpParserError:
            self._refuse_malformed()

    def _should_upgrade(self) -> bool:
        """Whether this is the end of a head that is parsed again; uvicorn asks only if it has an offer."""
        return True

    def _read_on(self, rest: memoryview) -> None:
        """Parse the head again, then the bytes after it, in which there may be more offers."""
        offered = True
        while offered:
            offered = False
            try:
                self._parse_head_again()
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as another:
                offered, rest = True, rest[another.args[0] :]
            except httptools.HttpParserError:
                self._refuse_malformed()

    def _parse_head_again(self) -> None:
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines))
        # A new parser, made as uvicorn's: the old one skips all that follows a `Connection: close`.
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(head)

    def _refuse_malformed(self) -> None:
        self.send_400_response("Invalid HTTP request received.")
