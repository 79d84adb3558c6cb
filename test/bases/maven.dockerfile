# Stands in for maven: Debian's, with the plugins of Debian's packages in place of Maven Central.
FROM eclipse-temurin:17-jre
RUN apt-get update -q && apt-get install -qy --no-install-recommends maven openjdk-17-jdk-headless \
	libmaven-compiler-plugin-java libmaven-jar-plugin-java libmaven-resources-plugin-java libsurefire-java && rm -rf /var/lib/apt/lists/*
COPY settings.xml /root/.m2/settings.xml
