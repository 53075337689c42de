"""The ``weighbridge`` command; heavy imports wait for the command that needs them."""
