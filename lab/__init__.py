"""The reference site, alive on loopback: routers, clouds, fabric, tickets and secrets."""
