"""Host names under an attacker's control, and a resolver for them."""

import socket

PUBLIC, PUBLIC_6 = "8.8.8.8", "2001:4860:4860::8888"
OUTSIDE = "127.0.0.2"

NAMES: dict[str, list[list[str]]] = {
    "outside.example": [[OUTSIDE]],
    "public.example": [[PUBLIC]],
    "private.example": [["127.0.0.1"]],
    "private-6.example": [["::1"]],
    "ten.example": [["10.0.0.1"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "nat64.example": [["64:ff9b::7f00:1"]],
    "zone.example": [["fe80::1%1"]],
    "zero.example": [["0.0.0.0"]],
    "mixed.example": [[PUBLIC, "127.0.0.1"]],
    "mixed-first.example": [["127.0.0.1", PUBLIC]],
    "mixed-6.example": [[PUBLIC_6, PUBLIC, "::1"]],
    "crowd.example": [[*[PUBLIC] * 300, "127.0.0.1"]],
    "nothing.example": [[]],
    "garbage.example": [["127.1"]],
    "alias.example": [["169.254.169.254"]],
    "xn--bcher-kva.example": [["127.0.0.1"]],
    "127.0.0.1.nip.example": [["127.0.0.1"]],
    "127.0.0.1.outside.example": [[OUTSIDE]],
    "1.outside.example": [["127.0.0.1"]],
    "localhost": [["127.0.0.1", "::1"]],
    "localhost.localdomain": [["127.0.0.1"]],
    "db": [["10.0.0.5"]],
    "kubernetes.default.svc": [["10.96.0.1"]],
    "host.docker.internal": [["192.168.65.254"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "metadata.tencentyun.com": [["169.254.0.23"]],
    "rebinds.example": [[OUTSIDE], ["127.0.0.1"]],
    "hops.example": [[OUTSIDE], ["127.0.0.1"]],
    "rebinds-to-six.example": [[OUTSIDE], ["::1"]],
    "both.example": [[OUTSIDE, OUTSIDE], [OUTSIDE, "127.0.0.1"]],
}
"""Host -> addresses per look-up; the last entry repeats. Other names do not exist."""


class NameServer:
    """Resolves NAMES; IP addresses resolve to themselves."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start again with the first look-up of each name."""
        self._answers = {name: list(answers) for name, answers in NAMES.items()}

    async def resolve(self, host: str, port: int) -> list[str]:
        if answers := self._answers.get(host):
            return answers.pop(0) if len(answers) > 1 else answers[0]
        results = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [str(sockaddr[0]) for *_, sockaddr in results]
