"""The ASGI application: routes that only translate between HTTP and the engine."""
