# The images of the programs, one a target: consumer, api and cli.
#
#   docker build --target consumer --tag origin-regions/consumer .
#
# The base is pinned by its version. To pin its contents too: --build-arg NODE_IMAGE=node:24.21.0-bookworm-slim@sha256:…
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

# Builds the packages as they are published, and lays out each program with what it needs to run, in /out.
FROM ${NODE_IMAGE} AS build
WORKDIR /workspace
ENV CI=true
COPY package.json ./
RUN npm install --global --no-audit --no-fund --loglevel=error "$(node --print 'require("./package.json").packageManager')"
COPY pnpm-lock.yaml pnpm-workspace.yaml .pnpmfile.mjs ./
RUN pnpm fetch
COPY . .
RUN pnpm install --frozen-lockfile --offline
# pnpm deploy lays packages of the workspace out as they are here; they become what npm would have. What no program loads goes.
RUN set -eu; \
  pnpm --recursive --filter './packages/*' --filter './apps/*' pack --pack-destination /packed >/dev/null; \
  for program in api cli consumer; do \
    out=/out/$program; \
    pnpm --filter "@origin-regions/$program" --prod --offline deploy "$out"; \
    for package in "$out" "$out"/node_modules/.pnpm/@origin-regions+*/node_modules/@origin-regions/*; do \
      [ ! -L "$package" ] || continue; \
      tar --extract --gzip --strip-components=1 --directory "$package/" --file /packed/origin-regions-"${package##*/}"-[0-9]*.tgz; \
    done; \
    find "$out" -type f '(' -name '*.[cm]ts' -o -name '*.ts' -o -name '*.map' -o -name '*.md' ')' -delete; \
    rm "$out"/pnpm-*.yaml; \
  done

# Node with Debian's C and C++ libraries, and an account to run as. No shell, no package manager. What is left of Debian's records tells
# scanners for known flaws what is in here.
FROM ${NODE_IMAGE} AS node
RUN set -eu; \
  root=/runtime; \
  mkdir -p "$root/etc" "$root/var/lib/dpkg/status.d"; \
  cp --parents /usr/local/bin/node "$root"; \
  cp --dereference /etc/os-release "$root/etc/"; \
  for package in libc6 libgcc-s1 libstdc++6; do \
    dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$package"; \
    dpkg-query --listfiles "$package" | sed -n '/gconv\|audit/d; /\.so[.0-9]*$/p' | while read -r library; do \
      cp --dereference --parents "$library" "$root"; \
    done; \
  done; \
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"; \
  echo 'node:x:1000:1000::/:/nonexistent' >"$root/etc/passwd"; \
  echo 'node:x:1000:' >"$root/etc/group"; \
  install -d -m 1777 "$root/tmp"; \
  install -d -o 1000 -g 1000 "$root/data"; \
  chroot "$root" /usr/local/bin/node --version

FROM scratch AS runtime
COPY --from=node /runtime/ /
ENV PATH=/usr/local/bin NODE_ENV=production
USER 1000:1000
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"

FROM runtime AS api
LABEL org.opencontainers.image.title="origin-regions API" \
  org.opencontainers.image.description="The origin cloud regions API, self-hosted, with the same wire contract"
COPY --from=build /out/api/ /app/
# Loopback of a container reaches nobody.
ENV API_HOST=0.0.0.0 API_PORT=8787 API_DATABASE=/data/api.sqlite
EXPOSE 8787
VOLUME ["/data"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.API_PORT}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/main.js"]

FROM runtime AS cli
LABEL org.opencontainers.image.title="origin-regions command line" \
  org.opencontainers.image.description="Sends mapping requests and shows their outcomes"
COPY --from=build /out/cli/ /app/
ENTRYPOINT ["node", "/app/dist/main.js"]

FROM runtime AS consumer
LABEL org.opencontainers.image.title="origin-regions consumer" \
  org.opencontainers.image.description="Applies mapping requests from Kafka to the API and publishes one outcome for each"
COPY --from=build /out/consumer/ /app/
ENV HTTP_HOST=0.0.0.0 HTTP_PORT=8788
EXPOSE 8788
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.HTTP_PORT}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/main.js"]
