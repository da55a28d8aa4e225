"""Loops of MaxSim over tokens."""
