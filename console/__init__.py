"""What a person meets: the command line, the wiring, view rows, and the screens in ui/."""
