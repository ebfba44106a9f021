"""The playground: a web page that calls this service like any client, and shows its requests as code."""
