"""What is served, as OpenAPI 3.1, built from tables.

document    the whole
operations  every call: the table
parameters  what stands in paths, queries and headers
shapes      what goes in and comes out, as structs
webhooks    what subscribers receive
"""

from processor.web.openapi.document import document

__all__ = ["document"]
