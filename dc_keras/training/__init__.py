"""Training of proxies, the fusion of videos and participation models."""
