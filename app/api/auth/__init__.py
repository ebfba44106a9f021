"""Authentication: signature algorithms (``tc3``, ``v1``), credentials of requests, keys of callers, and the policy."""
