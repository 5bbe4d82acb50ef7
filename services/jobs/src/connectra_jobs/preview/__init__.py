"""What an import would make of a file, before it is one."""
