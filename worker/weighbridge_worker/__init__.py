"""What runs as a container: take, count, settle."""
