"""Generated gRPC stubs of the image service; needs grpcio and protobuf, nothing of ours."""
