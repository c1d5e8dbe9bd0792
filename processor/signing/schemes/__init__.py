"""The signature schemes, one a file. In reading order:

shared_secret      compares what a shared secret makes with what was sent
token              no signature: the secret itself, in a header, a field or the URL
hmac               HMACs and plain digests
ed25519            signatures whose public keys are published as a JWKS
standard_webhooks  Standard Webhooks 1.0.0, the providers' and ours
sns_certificate    the certificate that Amazon SNS signs with
sns                Amazon SNS
registry           all schemes by name
"""
