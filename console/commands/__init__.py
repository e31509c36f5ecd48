"""One file a family of commands; each is imported when its command runs."""
