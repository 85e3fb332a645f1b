# The program in a small image:
#   docker build -t alike .
#   docker run -v "$PWD:/shop:ro" -v alike-state:/state -e ALIKE_API_KEY -p 8080:8080 alike
# serves the run folder /shop/runs/shop, events in /state. ONNX encoders need ONNX Runtime, which is not in it.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked && strip target/release/alike

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home alike && mkdir /state && chown alike /state
COPY --from=build /src/target/release/alike /usr/local/bin/alike
COPY LICENSE /usr/share/doc/alike/LICENSE
USER alike
WORKDIR /state
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health/ready HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["alike"]
CMD ["serve", "/shop/runs/shop", "--address", "0.0.0.0:8080", "--store", "sqlite:/state/events.sqlite"]
