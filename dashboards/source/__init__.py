"""Grafana's dashboards as code: `tests/grafana` holds it to Grafana's types, and the JSON beside this folder to it."""
