"""Who may call: credentials and where they come from."""
