import { sharedServer, type TestServer } from "../support/postgres.ts";

/** A cluster of the registry that is the test server; `more` are further lines. */
export function clusterFile(
  server: TestServer,
  ownership: "managed" | "connected",
  more = "",
): string {
  return `ownership: ${ownership}\n${more}postgres: {host: ${server.host}, port: ${server.port}, user: ${server.user}, password_env: CLUSTER_PASSWORD}\n`;
}

export { sharedServer };
