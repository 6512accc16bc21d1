"""RFC 6238, as phones do it: HMAC-SHA-1, six digits, steps of 30 seconds."""

import base64
import hashlib
import hmac
import time


def totp(secret: str, now: float | None = None) -> str:
    """The code of this moment, or of `now`, for a secret in base32."""
    text = "".join(secret.split()).upper()
    key = base64.b32decode(text + "=" * (-len(text) % 8))
    step = int((time.time() if now is None else now) // 30)
    digest = hmac.digest(key, step.to_bytes(8, "big"), hashlib.sha1)
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFF_FFFF
    return f"{number % 1_000_000:06}"
