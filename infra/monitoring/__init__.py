"""What is generated for Prometheus and Grafana, out of the catalogue of metrics."""
