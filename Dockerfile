# syntax=docker/dockerfile:1

# The compiled program. TypeScript's compiler is an optional platform package, so nothing is left out here.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/bundle.mjs ./scripts/
COPY src ./src
RUN npm run build

# What the program needs to run. Without the optional packages: no second Node, and no embedded PostgreSQL, because a
# container's database belongs into a container (or a service) of its own.
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

FROM node:24-slim
ENV NODE_ENV=production \
    KEYHOUND_HOST=0.0.0.0 \
    KEYHOUND_PORT=8080 \
    KEYHOUND_DATA_DIR=/var/lib/keyhound
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE NOTICE alerts.example.yaml ./
COPY bin ./bin
COPY sql ./sql
# A volume mounted here takes over its owner.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/keyhound
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.KEYHOUND_PORT + '/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/keyhound.cjs"]
CMD ["start"]
