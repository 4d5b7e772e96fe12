"""The runtime that every platform shares. It knows no platform."""
