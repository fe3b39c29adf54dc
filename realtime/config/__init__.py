"""What can be set, and by whom: the schema, its layers, its flags."""
