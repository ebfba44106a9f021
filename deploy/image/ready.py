"""Health check of the image: exit with 0 if the service accepts requests, else print the reason.

Reads the port from the service's setting. Uses the standard library only, and no proxy.
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
