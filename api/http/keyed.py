"""Keyed hashes for identifiers that must not appear in the store; without the store's secret they reveal nothing."""

from __future__ import annotations

from hashlib import blake2b

from persistence.store import Store


class Keyed:
    """Turns phones, openids, addresses and clients' own keys into document keys."""

    def __init__(self, store: Store, name: str) -> None:
        """``name`` selects the secret: hashes for different purposes cannot be compared."""
        self._store = store
        self._name = name
        self._secret: bytes | None = None

    async def of(self, *texts: str) -> str:
        """Return 32 hexadecimal digits. Raises ``StoreUnavailable`` when the secret was not read before."""
        digest = blake2b(key=await self.secret(), digest_size=16)
        for text in texts:
            raw = text.encode("utf-8", "surrogatepass")
            digest.update(len(raw).to_bytes(4, "big") + raw)
        return digest.hexdigest()

    async def secret(self) -> bytes:
        """Return 32 bytes that never change. Raises ``StoreUnavailable``."""
        if self._secret is None:
            self._secret = await self._store.secret(self._name)
        return self._secret
