"""Model families, one file each; ``registry.load`` is the only way to get one."""
