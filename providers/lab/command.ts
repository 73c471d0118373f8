import { join, resolve } from "node:path";
import type { Extra, Json } from "../../engine/types.ts";

/** `pgdba lab up|status|down`: a real PostgreSQL with planted problems, to try things on. */
export const labCommand: Extra = {
  name: "lab",
  summary: "The built-in PostgreSQL with planted problems",
  actions: {
    up: "Start it, making and filling it the first time",
    status: "Say whether it is there and running",
    down: "Stop it; with --remove, delete it too",
  },
  flags: { remove: { type: "boolean", summary: "With down: delete its data" } },
  async run(action, flags, { stateDir, onSecret, log }): Promise<Json> {
    const { labDown, labStatus, labUp } = await import("./lab.ts");
    if (action === "status") {
      const found = await labStatus({ stateDir, log });
      const psql = found.running && found.port !== null ? psqlCommand(stateDir, found.port) : null;
      return { ...found, psql };
    }
    if (action === "down") return labDown({ stateDir, log, remove: flags["remove"] === true });
    const lab = await labUp({ stateDir, log });
    const password = lab.connection.password?.();
    if (password !== undefined) onSecret(password);
    const { host, port, user, database } = lab.connection;
    return {
      running: true,
      host: host ?? null,
      port: port ?? null,
      user: user ?? null,
      database: database ?? null,
      data_dir: lab.dataDir,
      version: lab.version,
      psql: psqlCommand(stateDir, lab.port),
    };
  },
};

/** What opens psql on the lab; the password is read where it is kept. */
function psqlCommand(stateDir: string, port: number): string {
  const file = join(resolve(stateDir), "lab", "password").replaceAll("'", `'\\''`);
  return `PGPASSWORD="$(cat '${file}')" psql -h 127.0.0.1 -p ${port} -U postgres -d postgres`;
}
