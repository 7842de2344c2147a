# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /src
RUN rustup target add wasm32-unknown-unknown
COPY . .
# The workspace is selected as a whole, so that nothing heavy is compiled twice.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo xtask build-plugins \
    && cargo build --workspace --bins --profile dist \
    && mkdir /out && cp target/dist/breakwater /out/ && cp -r target/breakwater-plugins /out/plugins

FROM debian:bookworm-slim
# The C++ library for the vector index. A Vulkan loader, for machines whose driver is made available to the container; without one, models run
# on the CPU.
RUN apt-get update && apt-get install --yes --no-install-recommends libstdc++6 libvulkan1 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/breakwater /usr/bin/breakwater
COPY --from=build /out/plugins /usr/share/breakwater/plugins
COPY LICENSE NOTICE /usr/share/doc/breakwater/
COPY models/README.md models/licenses /usr/share/doc/breakwater/models/
RUN useradd --system --uid 10001 --home-dir /var/lib/breakwater --create-home breakwater
USER breakwater
VOLUME /var/lib/breakwater
EXPOSE 8080
STOPSIGNAL SIGTERM
# Loopback inside of a container reaches nobody; what is published is decided where the container is started. Management stays loopback.
ENTRYPOINT ["/usr/bin/breakwater"]
CMD ["serve", "--listen", "0.0.0.0:8080", "--data-dir", "/var/lib/breakwater"]
