"""The signature schemes, one file each. In reading order:

shared_secret      compares received signatures with those of a shared secret
token              no signature, but the secret itself in a header, a form field or the URL
hmac               HMACs, and plain digests that include the secret
ed25519            signatures whose public keys are published as a JWKS
standard_webhooks  Standard Webhooks 1.0.0, as received and as sent
sns_certificate    the certificate that Amazon SNS signs with
sns                Amazon SNS
registry           all schemes by name
"""
