"""The command line. Only this package may import every room: `bootstrap` chooses the real things from the configuration."""
