/** A server that is the target of runs, and others that its state folder knows as clusters. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestServer } from "../../support/postgres.ts";

/** Makes `server` known by a name; its password is in the environment that is given back. */
export function known(
  home: string,
  name: string,
  server: TestServer,
  more = "",
): Record<string, string> {
  mkdirSync(join(home, "clusters"), { recursive: true });
  const variable = `PASSWORD_OF_${name.toUpperCase()}`;
  writeFileSync(
    join(home, "clusters", `${name}.yaml`),
    `ownership: connected\npostgres: {host: ${server.host}, port: ${server.port}, user: ${server.user}, database: ${server.database}, password_env: ${variable}, sslmode: disable}\n${more}`,
  );
  return { [variable]: server.password };
}
