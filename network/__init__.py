"""What the network is and what is known of it: pure, no I/O, no clock, no SDK."""
