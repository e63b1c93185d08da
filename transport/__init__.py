"""What both sides use to reach each other: TLS, reasons of MQTT 5, waits, certificates."""
