"""The audio experiment: probes on frozen audio encoders, and what their scores are worth."""
