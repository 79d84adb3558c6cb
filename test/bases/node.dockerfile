# Stands in for node: Debian's Node, and npm from its registry.
FROM debian:bookworm-slim
RUN apt-get update -q && apt-get install -qy --no-install-recommends nodejs && rm -rf /var/lib/apt/lists/*
ADD npm.tgz /usr/local/lib/
RUN mkdir /usr/local/lib/node_modules && mv /usr/local/lib/package /usr/local/lib/node_modules/npm && \
	ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && useradd --create-home --uid 1000 node
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
