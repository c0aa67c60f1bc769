"""Who asks: API keys and tokens become identities, in one way for every surface."""

from lycosa.errors import Unauthenticated
from lycosa.identity import Identity
from lycosa.settings import Settings


class Authenticator:
    """Turns the credential of a request into an Identity."""

    def __init__(self, settings: Settings) -> None:
        self._local = Identity.local(settings)
        self.required = settings.authentication == "required"

    async def identify(self, credential: str | None) -> Identity:
        """Who shows this credential: the value of `Authorization: Bearer`, or None for no such header.

        Without a credential it is the local caller, unless authentication is required. A credential that is shown is
        always checked: a wrong one is refused even where none is needed. Raises Unauthenticated.
        """
        if credential is None and not self.required:
            return self._local
        if credential is None:
            raise Unauthenticated("a credential is required: Authorization: Bearer <key>", missing=True)
        raise Unauthenticated("the credential is not known")
