"""The face experiment: FER2013 expressions, affect coordinates, and the "IQ"/"EQ" proxies."""
