"""Acts on Kubernetes: the action types, what each changes, and the client that asks the API server."""
