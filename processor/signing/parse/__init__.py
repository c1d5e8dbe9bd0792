"""Parts of a push that signatures are made of. In reading order:

signed_content  what a signature is made over: the text `signs`, compiled
encoding        hex, base64, prefixes and pairs of a signature
fields          header, form field and query parameter lookups
timestamp       when a push was signed, and whether that is near enough to now
"""
