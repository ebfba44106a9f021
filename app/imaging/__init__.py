"""Image reference -> encoded image -> upright pixels. ``source`` loads the bytes, ``decode`` decodes them."""
