"""The ground floor: what every experiment shares."""
