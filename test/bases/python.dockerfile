# Stands in for python: Debian's Python, whose pip installs as that image's does.
FROM debian:bookworm-slim
RUN apt-get update -q && apt-get install -qy --no-install-recommends python3 python3-pip && rm -rf /var/lib/apt/lists/* /usr/lib/python3.11/EXTERNALLY-MANAGED
