"""What a handshake that failed says of the server, in words for people. Pure.

Rules kept here:
- only what failed before a byte of the request left is spoken of: whoever pays may rely on it;
- the words say what is wrong with the other side, since "unreachable" sends people to look at their own network.
"""

import ssl

import httpx

#: By OpenSSL's numbers of what is wrong with a certificate (X509_V_ERR_..., its header x509_vfy.h).
_CERTIFICATE = {
    9: "it begins in the future",
    10: "it has expired",
    18: "it is signed by itself",
    19: "it is signed by an authority that this computer does not know",
    20: "it is signed by an authority that this computer does not know",
    62: "it is for another name",
    64: "it is for another address",
}
_OLD = "it speaks only versions of TLS that are no longer safe"
_REASONS = {
    "WRONG_VERSION_NUMBER": "no TLS is spoken there; perhaps the address should begin with http://",
    "HTTP_REQUEST": "no TLS is spoken there; perhaps the address should begin with http://",
    "UNSUPPORTED_PROTOCOL": _OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD,
}
#: What h11 says of a first byte that is no letter: an alert of TLS, as a rule, in place of a status line.
_NO_LETTER = "illegal request line"


def distrusted(error: Exception) -> str:
    """Why no safe connection was made; "" when it did not come to that question."""
    if not isinstance(error, httpx.ConnectError):
        return ""
    match _tls(error):
        case None:
            return ""
        case ssl.SSLCertVerificationError() as found:
            why = _CERTIFICATE.get(found.verify_code, found.verify_message)
            return f"its certificate is not valid: {why}"
        case found:
            if _cut(found):
                return ""
            reason = found.reason or ""
            return _REASONS.get(reason, f"TLS failed ({reason.replace('_', ' ').lower() or 'no reason given'})")


def spoken(error: Exception) -> str:
    """What an exception says, in words where its own would puzzle people."""
    said, name = str(error), type(error).__name__
    if found := distrusted(error):
        return found
    match error:
        case httpx.ConnectError() if not said or _tls(error) is not None:
            return "the connection broke before it was safe, in the TLS handshake"
        case httpx.ConnectTimeout():
            return "no connection came about in time"
        case httpx.RemoteProtocolError() if said == _NO_LETTER:
            return "no HTTP is spoken there; perhaps the address should begin with https://"
        case _:
            return f"{name}: {said}" if said else name


def _tls(error: BaseException | None) -> ssl.SSLError | None:
    """The error of TLS from which an exception comes."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _cut(error: ssl.SSLError) -> bool:
    """Whether the other side only went away, which may pass."""
    return isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING"
