"""Image reference -> encoded image -> oriented pixels. ``source`` loads the bytes, ``decode`` decodes them."""
