"""What can be set, and by whom: the schema, its keys, the layers that fill it, its flags."""
