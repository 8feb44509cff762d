"""The audio wing: probes on frozen audio encoders, and what their scores are worth."""
