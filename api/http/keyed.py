"""Under which key does the store keep what must not stand in it? A hash that tells nothing without the store's secret."""

from __future__ import annotations

from hashlib import blake2b

from persistence.store import Store


class Keyed:
    """Turns phones, openids, addresses and clients' own keys into keys of documents."""

    def __init__(self, store: Store, name: str) -> None:
        """``name`` is the secret's: hashes for one purpose can't be compared with those for another."""
        self._store = store
        self._name = name
        self._secret: bytes | None = None

    async def of(self, *texts: str) -> str:
        """32 hexadecimal digits. Raises ``StoreUnavailable`` when the secret was not read before."""
        digest = blake2b(key=await self.secret(), digest_size=16)
        for text in texts:
            raw = text.encode("utf-8", "surrogatepass")
            digest.update(len(raw).to_bytes(4, "big") + raw)
        return digest.hexdigest()

    async def secret(self) -> bytes:
        """32 bytes, the same for ever. Raises ``StoreUnavailable``."""
        if self._secret is None:
            self._secret = await self._store.secret(self._name)
        return self._secret
