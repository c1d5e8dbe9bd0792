"""The X.509 certificate that Amazon SNS signs with: parsed from PEM and checked."""

import re
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from processor.errors import UnknownKey

# `sns.amazonaws.com`; in newer regions `sns-signing.REGION`, in China and GovCloud `sns-REGION`.
# Source: Amazon's own verifier, aws-sdk-java-v2, SnsHostProvider.
_NAME = re.compile(r"sns(?:-signing\.[a-z0-9-]+|-[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?")
_BROKEN = (
    ValueError, TypeError, UnsupportedAlgorithm,
    x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType,
    Warning,  # where warnings are errors: a serial number that a future version will refuse
)  # fmt: skip


def public_key(document: bytes, now: float) -> RSAPublicKey:
    """Return the key of a certificate that is Amazon's and valid now; else UnknownKey.

    A bare public key is accepted too, for a document given by hand. A fetched document comes
    from Amazon over TLS, and Amazon serves certificates.
    """
    key, names, valid = _read(document)
    if names and not any(map(_NAME.fullmatch, names)):
        raise UnknownKey(
            f"the certificate does not belong to Amazon SNS; it names {', '.join(names)[:200]}"
        )
    if not valid[0] <= now <= valid[1]:
        days = f"from {_day(valid[0])} to {_day(valid[1])}"
        raise UnknownKey(f"the certificate is valid {days}, and today is {_day(now)}")
    return key


def is_readable(document: bytes) -> bool:
    """Whether this is a certificate, or a public key, that could be Amazon's."""
    try:
        _read(document)
    except UnknownKey:
        return False
    return True


@lru_cache(64)
def _read(document: bytes) -> tuple[RSAPublicKey, tuple[str, ...], tuple[float, float]]:
    """Return the key, the certificate's host names, and its first and last moment of validity."""
    try:
        if b"-----BEGIN PUBLIC KEY-----" in document:
            return _rsa(load_pem_public_key(document)), (), (float("-inf"), float("inf"))
        certificate = x509.load_pem_x509_certificate(document)
        days = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        key, names = _rsa(certificate.public_key()), _names(certificate)
    except _BROKEN:
        raise UnknownKey("the certificate's URL did not return a certificate in PEM") from None
    return key, names, (days[0].timestamp(), days[1].timestamp())


def _rsa(key: PublicKeyTypes) -> RSAPublicKey:
    if not isinstance(key, RSAPublicKey):
        raise UnknownKey("the certificate does not hold an RSA key")
    return key


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Its common name and its DNS alternative names; at least one entry."""
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    names = [str(name.value) for name in common]
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names += extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        pass
    return tuple(names) or ("nobody",)


def _day(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):  # `inspect --now` takes any number
        return f"{moment:g}"
