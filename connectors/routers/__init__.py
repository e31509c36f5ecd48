"""Routers: the way in over SSH, the line protocol, and for each platform a pure parse and render pair."""
