"""A gRPC server that does nothing: `python -m tests.bench.nothing` prints its port and answers empty messages until it is ended."""

import asyncio

import grpc

METHOD = "/connectra.bench.Nothing/Do"
LISTENING = "listening on "


async def nothing(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    """Answers an empty message."""
    return b""


async def main() -> None:
    """Entry point."""
    server = grpc.aio.server()
    service, method = METHOD.strip("/").split("/")
    handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(nothing)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"{LISTENING}{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
