"""buf plugin: the gRPC stubs, by the generator inside grpcio-tools (which ships no plugin executable of its own)."""

import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler import plugin_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc


def main() -> None:
    request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = plugin_pb2.CodeGeneratorResponse(
        supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    with tempfile.TemporaryDirectory() as folder:
        descriptors = Path(folder) / "descriptors.pb"
        descriptors.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
        status = protoc.main(
            ["protoc", f"--descriptor_set_in={descriptors}", f"--grpc_python_out={folder}", *request.file_to_generate]
        )
        if status:
            response.error = f"grpc_tools.protoc ended with {status}"
        for path in sorted(Path(folder).rglob("*_pb2_grpc.py")):
            text = path.read_text()
            if "Stub:" in text or "Stub(object):" in text:  # files without a service get no stub file
                response.file.add(name=str(path.relative_to(folder)), content=text)
    sys.stdout.buffer.write(response.SerializeToString())


if __name__ == "__main__":
    main()
