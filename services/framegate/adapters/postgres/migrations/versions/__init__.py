"""One module for each change of the schema, named for what it does."""
