# Stands in for eclipse-temurin: Debian's runtime of Java.
FROM debian:bookworm-slim
RUN apt-get update -q && apt-get install -qy --no-install-recommends openjdk-17-jre-headless && rm -rf /var/lib/apt/lists/*
