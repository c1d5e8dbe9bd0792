"""What is served, as OpenAPI 3.1, built from tables. In reading order:

schemas     bodies and responses, as structs
parameters  parameters in paths, queries and headers
webhooks    what subscribers receive
operations  the table of calls
document    the whole document
"""

from processor.web.openapi.document import document

__all__ = ["document"]
