# The project's images, one target each: docker build --target mimir-rls -t mimir-rls:TAG .
#
#   mimir-rls, overrides-sync, edgectl   one static program in an otherwise empty image
#   mimir-envoy                          Envoy with the committed configurations of ops/envoy
#
# A builder that cannot name a target (Railway) sets the build argument IMAGE to one of them, or to mimir-rls-bundled.
ARG IMAGE=mimir-rls
# The base images, for a mirror registry: --build-arg RUST_IMAGE=HOST/rust:TAG.
ARG RUST_IMAGE=rust:1.95.0-slim-bookworm
ARG BUSYBOX_IMAGE=busybox:1.37.0-musl
ARG ENVOY_IMAGE=envoyproxy/envoy:distroless-v1.40.0

# Dependencies are compiled before our sources are copied, so that a change of the sources reuses this layer. Layers instead of cache mounts, because
# builders differ in the cache ids that they accept.
FROM ${RUST_IMAGE} AS dependencies
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --no-install-recommends --yes ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Static: includes glibc's resolver, and the image needs no library. With an explicit --target these flags do not apply to build scripts.
ENV CARGO_TARGET_DIR=/target \
    RUSTFLAGS="-C target-feature=+crt-static"
COPY Cargo.toml Cargo.lock ./
COPY crates/edge/Cargo.toml crates/edge/
COPY crates/edge-sources/Cargo.toml crates/edge-sources/
COPY crates/edgectl/Cargo.toml crates/edgectl/
COPY crates/enforce/Cargo.toml crates/enforce/
COPY crates/go-regexp/Cargo.toml crates/go-regexp/
COPY crates/go-yaml/Cargo.toml crates/go-yaml/
COPY crates/limits/Cargo.toml crates/limits/
COPY crates/limits-source/Cargo.toml crates/limits-source/
COPY crates/overrides-sync/Cargo.toml crates/overrides-sync/
COPY crates/page/Cargo.toml crates/page/
COPY crates/proto/Cargo.toml crates/proto/
COPY crates/remote-write/Cargo.toml crates/remote-write/
COPY crates/rls/Cargo.toml crates/rls/
COPY crates/runtime/Cargo.toml crates/runtime/
COPY crates/scrape/Cargo.toml crates/scrape/
COPY crates/tasks/Cargo.toml crates/tasks/
COPY crates/usage/Cargo.toml crates/usage/
COPY tests/e2e/Cargo.toml tests/e2e/
COPY ops/docker/build ops/docker/
RUN sh ops/docker/build dependencies

FROM dependencies AS build
COPY proto/ proto/
COPY crates/ crates/
RUN sh ops/docker/build programs

# The files of each image besides its program: CAs for https, users, the configuration of name resolution, and writable folders.
FROM scratch AS runtime
COPY --from=build /rootfs/ /
COPY --from=build --chown=65532:65532 /caches/ /var/cache/
USER 65532:65532
ARG VERSION=dev
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="mimir-rls" \
      org.opencontainers.image.version="${VERSION}"

FROM runtime AS mimir-rls
LABEL org.opencontainers.image.title="mimir-rls" \
      org.opencontainers.image.description="Enforces Mimir's ingestion limits for Envoy before a push reaches Mimir"
COPY --from=build /programs/mimir-rls /usr/local/bin/mimir-rls
EXPOSE 8081 9090
ENTRYPOINT ["/usr/local/bin/mimir-rls"]

FROM runtime AS overrides-sync
LABEL org.opencontainers.image.title="overrides-sync" \
      org.opencontainers.image.description="Watches Mimir's overrides and serves them to every mimir-rls"
COPY --from=build /programs/overrides-sync /usr/local/bin/overrides-sync
EXPOSE 8083 9091
ENTRYPOINT ["/usr/local/bin/overrides-sync"]

FROM runtime AS edgectl
LABEL org.opencontainers.image.title="edgectl" \
      org.opencontainers.image.description="The operator's command line of mimir-rls"
COPY --from=build /programs/edgectl /usr/local/bin/edgectl
ENTRYPOINT ["/usr/local/bin/edgectl"]

# For platforms that cannot mount files: the image includes ops/compose/limits, and a commit changes the limits.
FROM mimir-rls AS mimir-rls-bundled
COPY ops/compose/limits/ /etc/mimir-rls/
ENV MIMIR_RLS_LIMITS=file:/etc/mimir-rls/limits.yaml \
    MIMIR_RLS_EDGE_CONFIG=/etc/mimir-rls/edge.yaml

# The commands of the configuration script, of a health check and of a pod's preStop hook. busybox acts by the name it is called with.
FROM ${BUSYBOX_IMAGE} AS shell
RUN mkdir -p /rootfs/bin /rootfs/run/envoy \
    && cp /bin/busybox /rootfs/bin/busybox \
    && for name in grep sed sh sleep wget; do ln -s busybox "/rootfs/bin/$name"; done

# The default command configures Envoy from environment variables (ops/docker/envoy). The chart runs `envoy` with its own configuration.
FROM ${ENVOY_IMAGE} AS mimir-envoy
ARG VERSION=dev
LABEL org.opencontainers.image.title="mimir-envoy" \
      org.opencontainers.image.description="Envoy, configured to check every push with mimir-rls" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="mimir-rls" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=shell /rootfs/bin/ /bin/
COPY --from=shell --chown=65532:65532 /rootfs/run/ /run/
COPY ops/envoy/enforce.yaml ops/envoy/mirror.yaml ops/envoy/configure /etc/mimir-envoy/
COPY ops/docker/envoy /etc/mimir-envoy/run
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER 65532:65532
EXPOSE 8080 9901
ENTRYPOINT []
CMD ["/bin/sh", "/etc/mimir-envoy/run"]

# hadolint ignore=DL3006
FROM ${IMAGE}
