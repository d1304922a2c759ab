"""The custom-resource types, their conditions and reasons: the single source of schemas and docs. Pure."""
