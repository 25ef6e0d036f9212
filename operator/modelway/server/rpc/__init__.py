"""The Open Inference Protocol over gRPC. Imported only where it is given a port: it costs memory and start time."""
