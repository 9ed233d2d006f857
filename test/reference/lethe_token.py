"""Seals and opens tokens as docs/token-format.md says, in plain Python: an implementation to compare others with.

Usage: python3 lethe_token.py VECTORS.json   checks every vector; exit status 1 and a line for each that differs
"""

import base64
import datetime
import hashlib
import hmac
import json
import re
import struct
import sys

HEADER = re.compile(r"l([tpbq])1\.([a-z0-9]{2})([0-9]{6})\.", re.ASCII)
TOKEN = re.compile(r"(l[tpbq]1\.[a-z0-9]{2}[0-9]{6}\.)([A-Za-z0-9_-]{38,})\.", re.ASCII)


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def day_of(date):
    """The calendar day of yymmdd, or None."""
    try:
        return datetime.date(2000 + int(date[0:2]), int(date[2:4]), int(date[4:6]))
    except ValueError:
        return None


def derive(day_key, header):
    info = (header[4:6] + header[6:12]).encode()
    return mac(day_key, b"lethe/1/xor", info), mac(day_key, b"lethe/1/mac", info)


def context_bytes(context):
    encoded = context.encode("utf-8")
    if len(encoded) > 1024:
        raise ValueError("context too long")
    return struct.pack(">H", len(encoded)) + encoded


def xor(kx, salt, data):
    stream = b"".join(mac(kx, salt, struct.pack(">I", i)) for i in range((len(data) + 31) // 32))
    return bytes(a ^ b for a, b in zip(data, stream))


def seal(day_key, header, context, plaintext, pad, deterministic, salt):
    kx, km = derive(day_key, header)
    c = context_bytes(context)
    p = plaintext
    if header[1] in "pq":
        p += b"\x80"
        p += bytes(-len(p) % pad)
    if len(p) > 65536:
        raise ValueError("too long")
    if deterministic:
        salt = mac(km, b"det", header.encode(), c, p)[:12]
    cipher = xor(kx, salt, p)
    tag = mac(km, header.encode(), c, salt, cipher)[:16]
    body = base64.urlsafe_b64encode(salt + cipher + tag).decode().rstrip("=")
    return header + body + "."


def decode(body):
    """The bytes of a canonical body, or None."""
    if len(body) > 87419 or len(body) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    canonical = base64.urlsafe_b64encode(data).decode().rstrip("=")
    return data if canonical == body else None


def reveal(token, day_key, ring, context):
    """(outcome, plaintext); the plaintext is None unless the outcome is value."""
    match = TOKEN.fullmatch(token)
    if not match:
        return "notToken", None
    header, body = match.groups()
    day, data = day_of(header[6:12]), decode(body)
    if day is None or data is None:
        return "notToken", None
    if ring is None:
        return "noKey", None
    if day.isoformat() < ring["first"] or day.isoformat() in ring["gone"]:
        return "expired", None
    if day.isoformat() > ring["asOf"] or day_key is None:
        return "noKey", None
    kx, km = derive(day_key, header)
    salt, cipher, tag = data[:12], data[12:-16], data[-16:]
    expected = mac(km, header.encode(), context_bytes(context), salt, cipher)[:16]
    if not hmac.compare_digest(expected, tag):
        return "tampered", None
    p = xor(kx, salt, cipher)
    if header[1] in "pq":
        p = p.rstrip(b"\x00")
        if not p.endswith(b"\x80"):
            return "tampered", None
        p = p[:-1]
    if header[1] in "tp":
        try:
            if "\x00" in p.decode("utf-8"):
                return "tampered", None
        except UnicodeDecodeError:
            return "tampered", None
    return "value", p


def check(vector):
    """What differs, or None."""
    day_key = bytes.fromhex(vector["dayKey"]) if vector["dayKey"] else None
    plaintext = bytes.fromhex(vector["plaintext"])
    outcome, revealed = reveal(vector["token"], day_key, vector["ring"], vector["context"])
    if outcome != vector["outcome"]:
        return "outcome is %s" % outcome
    if outcome == "value" and revealed != plaintext:
        return "another plaintext"
    if day_key and outcome in ("value", "expired", "noKey"):
        header = vector["token"][:13]
        salt = bytes.fromhex(vector["salt"])
        sealed = seal(day_key, header, vector["context"], plaintext, vector["pad"], vector["deterministic"], salt)
        if sealed != vector["token"]:
            return "sealing gives another token"
        if header[:3] != vector["kind"]:
            return "another kind"
        if vector["deterministic"] and decode(sealed[13:-1])[:12] != salt:
            return "another salt"
    return None


def main(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)["vectors"]
    wrong = 0
    for number, vector in enumerate(vectors):
        difference = check(vector)
        if difference:
            wrong += 1
            print("vector %d: %s" % (number, difference))
    print("%d vectors, %d differ" % (len(vectors), wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
