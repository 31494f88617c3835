"""What every page shares: its parts as plain data, its templates, its styles and its scripts."""
