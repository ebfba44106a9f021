"""The image's health check: exits with 0 where the service of this container takes requests.

In: the port, from the service's own setting. Out: an exit code, and on standard error what was wrong.
Needs nothing but the standard library, and goes through no proxy.
"""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("COMPAREFACE_SERVER__PORT", "8000")), timeout=4)
try:
    connection.request("GET", "/readyz")
    status = connection.getresponse().status
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"no answer: {error}")
if status != http.client.OK:
    sys.exit(f"not ready: status {status}")
