"""Health check of the image: exit with 0 if the service accepts requests, else print the reason.

Reads the ports from the service's settings. Uses the standard library only, and no proxy.
"""

import http.client
import os
import ssl
import sys

health_port = os.environ.get("COMPAREFACE_SERVER__HEALTH_PORT")
port = int(health_port or os.environ.get("COMPAREFACE_SERVER__PORT", "8000"))
if os.environ.get("COMPAREFACE_SERVER__TLS_CERT") and not health_port:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # this container's own certificate
    connection: http.client.HTTPConnection = http.client.HTTPSConnection("127.0.0.1", port, timeout=4, context=context)
else:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
try:
    connection.request("GET", "/readyz")
    status = connection.getresponse().status
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"no answer: {error}")
if status != http.client.OK:
    sys.exit(f"not ready: status {status}")
