# One image for every process of Mayfly. Nothing is installed here: `npm run build` makes the bundles beforehand, and the
# tools stage can be replaced with any image that holds node, helm and kubectl under /tools.
ARG BASE=docker.io/library/debian:bookworm-slim
ARG TOOLS=docker.io/mayfly/tools:dev

FROM ${TOOLS} AS tools

FROM ${BASE}
COPY --from=tools /tools/ /usr/local/bin/
COPY dist/ /app/
COPY charts/ /app/charts/
COPY package.json /app/
USER 65532:65532
WORKDIR /app
ENV NODE_ENV=production
ENTRYPOINT ["/usr/local/bin/node"]
