"""The face wing: FER2013 expressions, affect coordinates, and what the "IQ"/"EQ" proxies are."""
