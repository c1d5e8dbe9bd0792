"""The parts of a push that a signature consists of. In reading order:

encoding        hex, base64, prefixes and pairs of a signature
fields          lookups of headers, form fields and query parameters
timestamp       when a push was signed, and whether that is recent enough
signed_content  the bytes that a signature covers: the template `signs`, compiled
"""
