"""Everything between a request and a model's forward pass. ``engine.Engine.embed`` is the one way to get a vector."""
