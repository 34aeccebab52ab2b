"""What the core costs: on a Cortex-M4 in cycles and bytes, on this machine beside the reference."""
