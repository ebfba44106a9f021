"""Authentication: the signature algorithms (``tc3``, ``v1``), the caller's keys, and the policy around both."""
