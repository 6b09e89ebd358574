"""What exists: the plant model (`address_space.model`) and its OPC UA face (`address_space.nodes`)."""
